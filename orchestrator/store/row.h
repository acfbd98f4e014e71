#pragma once

#include <cstdint>
#include <string>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/records.h"

// What of a message is a column of its own, so that it can be asked for.
namespace backfire::store {

/// When an update ended, in nanoseconds since 1970; 0: it has not.
inline int64_t EndTime(const v1::Update& update) {
  return update.end_time().seconds() * 1'000'000'000 + update.end_time().nanos();
}

/// Name of the version that a training made or took; empty: none yet, or it is no training.
inline std::string TrainedVersion(const v1::Step& step) {
  return step.kind() == v1::Step::TRAIN ? step.version().name() : "";
}

/// Whether an update has a verdict that nothing takes back.
inline bool IsJudged(const v1::Update& update) { return update.has_verdict(); }

}  // namespace backfire::store
