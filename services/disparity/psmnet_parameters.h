#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/disparity/disparity_loss_rules.h"
#include "services/disparity/psmnet_options.h"
#include "services/disparity/stereo_crop.h"
#include "services/learning/training_schedule.h"

namespace backfire::disparity {

/// What a recipe of a PSMNet says.
struct PsmNetParameters {
  PsmNetOptions network;
  LossRules loss;
  learning::TrainingSchedule schedule;
  CropOptions crop;
  int64_t threads = 1;  ///< Of a training.
  bool channels_last = false;
  bool bfloat16 = false;  ///< Convolutions under autocast.
};

/// `psmnet-{depth,disparity}-mae`, small, for the rendered world; `psmnet-transfer-...`, the same
/// network, trained there to be used on real cameras; `psmnet-full-...`, as published, for KITTI.
/// Every parameter at its default.
std::vector<v1::Recipe> PsmNetRecipeDefaults();

/// Reads a complete recipe. INVALID_ARGUMENT names the parameter.
absl::StatusOr<PsmNetParameters> ReadPsmNetParameters(const v1::Recipe& recipe);

}  // namespace backfire::disparity
