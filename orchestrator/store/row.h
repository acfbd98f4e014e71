#pragma once

#include <cstdint>
#include <string>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/records.h"

// What of a message is a column of its own, so that it can be asked for.
namespace backfire::store {

/// Nanoseconds since 1970.
inline int64_t Nanoseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000'000 + time.nanos();
}

/// When an update was decided, or ended without; 0: it has not. Of updates that were decided before
/// that time was kept: when they ended.
inline int64_t DecideTime(const v1::Update& update) {
  return Nanoseconds(update.has_decide_time() ? update.decide_time() : update.end_time());
}

/// Name of the version that a training made or took; empty: none yet, or it is no training.
inline std::string TrainedVersion(const v1::Step& step) {
  return step.kind() == v1::Step::TRAIN ? step.version().name() : "";
}

/// Whether an update has a verdict that nothing takes back.
inline bool IsJudged(const v1::Update& update) { return update.has_verdict(); }

}  // namespace backfire::store
