#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/detection/detector_recipe.h"
#include "services/detection/point_rcnn/cloud_augmentation.h"
#include "services/detection/point_rcnn/point_rcnn_parameters.h"
#include "services/runtime/model.h"

namespace backfire::detection {

/// What a training learns from.
struct PointRcnnTrainingSet {
  std::vector<LabelledCloud> clouds;  ///< Those that `train_fraction` leaves.
  ObjectBank objects;
};

/// Reads clouds and labels of the training split. CANCELLED: the job was. FAILED_PRECONDITION:
/// there is no object of the type, or no point in range.
absl::StatusOr<PointRcnnTrainingSet> ReadPointRcnnTrainingSet(const DetectorConfig& config,
                                                              const PointRcnnParameters& parameters,
                                                              const runtime::TrainingTask& task,
                                                              runtime::JobContext& job);

/// One augmented cloud of `parameters.cloud.points` points; depends on set, parameters and
/// `random`.
LabelledCloud DrawCloud(const PointRcnnTrainingSet& set, const PointRcnnParameters& parameters,
                        Random& random);

}  // namespace backfire::detection
