#pragma once

#include <cstdint>
#include <string>

#include "backfire/v1/model_service.pb.h"
#include "services/runtime/outputs/output_store.h"

namespace backfire::runtime {

/// How far a job is in a stage of its work.
/// @param total_steps  0: not counted.
inline v1::Progress Stage(const std::string& stage, int64_t step = 0, int64_t total_steps = 0) {
  v1::Progress progress;
  progress.set_stage(stage);
  progress.set_step(step);
  progress.set_total_steps(total_steps);
  return progress;
}

/// Notes in a job's result which outputs it found, and which had to be produced for it.
inline void SetTally(const OutputTally& tally, v1::Job& result) {
  result.set_saved_seconds(tally.saved_seconds);
  result.set_outputs_reused(tally.reused);
  result.set_outputs_produced(tally.produced);
}

}  // namespace backfire::runtime
