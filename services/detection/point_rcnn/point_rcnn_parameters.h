#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/detection/point_rcnn/cloud_preparation.h"

namespace backfire::detection {

/// Parameters of the recipes `point-rcnn` (as published) and `point-rcnn-small` (a cloud of 2,048
/// points, a quarter of the channels: minutes of a CPU), which differ in defaults alone.
struct PointRcnnParameters {
  int64_t proposal_steps = 0, refinement_steps = 0;  ///< Of the first stage, then of the second.
  int64_t batch = 4;                                 ///< Clouds of a step.
  double proposal_learning_rate = 2e-3, refinement_learning_rate = 2e-3;
  double weight_decay = 1e-3;
  double size_weight = 3;  ///< Of the boxes' sizes in the loss.
  CloudOptions cloud;      ///< `points`, `sampling` (random, angular), `max_depth_m`.
  double width = 1, radius_scale = 1, dropout = 0.5;
  int64_t roi_points = 512;
  int64_t pasted_objects = 0;     ///< At most, a cloud.
  double train_max_depth_m = 0;   ///< Clouds and labels beyond are left out of training; 0: none.
  double train_fraction = 1;      ///< The part of the training frames that is used.
  int64_t train_proposals = 512;  ///< What RoIs are drawn from, a cloud.
  int64_t train_rois = 64;        ///< A cloud.
  int64_t proposals = 100;        ///< That are refined, a request.
  double min_score = 0.3;         ///< Probability of being an object, of a detection.
  double max_overlap = 0.1;       ///< Between footprints of detections.
  int64_t threads = 1;
};

/// Every parameter of `point-rcnn`, or of `point-rcnn-small`, at its default.
v1::Recipe DefaultPointRcnnRecipe(bool small);
/// INVALID_ARGUMENT: a parameter is out of range.
absl::StatusOr<PointRcnnParameters> ReadPointRcnnParameters(const v1::Recipe& recipe);

}  // namespace backfire::detection
