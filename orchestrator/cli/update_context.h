#pragma once

#include <map>
#include <string>
#include <utility>

#include "backfire/v1/evidence.pb.h"
#include "backfire/v1/orchestrator.pb.h"

namespace backfire::cli {

/// What an update was, for those who read its report: its graph where the current system is still
/// the one that it belongs to, what it trained, what it cost. A pure function.
v1::UpdateContext ContextOf(const v1::Update& update, const v1::GetSystemResponse& system);

/// How trainings go, as far as those hear of it who watch an update. One thread.
class TrainingCurves {
 public:
  /// Takes the losses that an update's running steps report.
  void Take(const v1::Update& update);
  /// Adds what was heard, of each vertex and replicate.
  void AddTo(v1::UpdateContext& context) const;

 private:
  std::map<std::pair<std::string, int32_t>, v1::TrainingCurve> curves_;
};

}  // namespace backfire::cli
