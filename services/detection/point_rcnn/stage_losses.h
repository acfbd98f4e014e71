#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "services/detection/point_rcnn/box_coding.h"

namespace backfire::detection {

/// The loss of one stage, with its parts.
struct StageLoss {
  at::Tensor total;
  at::Tensor classification, classification_positive, classification_negative;  ///< Both sum up.
  RegressionLoss regression;  ///< Undefined tensors where there is no positive.
  int64_t positives = 0;      ///< Rows that the regression is taken over.
};

/// First stage: focal loss (alpha 0.25, gamma 2; Lin et al., ICCV 2017) over points, divided by
/// max(positives, 1), and the regression's over positive points.
/// @param scores      [points], raw.
/// @param labels      INT64 [points]: 1 object, 0 background, -1 ignored.
/// @param regression  [points, 76]. @param truth  [points, 7], see LossOfRegression.
StageLoss ProposalLoss(const at::Tensor& scores, const at::Tensor& regression,
                       const at::Tensor& labels, const at::Tensor& truth,
                       const std::array<float, 3>& mean_size);

/// Second stage: binary cross entropy over RoIs with labels 0 and 1, and the regression's over
/// those with `valid`.
/// @param scores  [rois], raw. @param labels  INT64 [rois]: 1, 0, or -1 ignored. @param valid INT64
///   [rois]: 0 or 1. @param regression  [rois, 46]. @param truth  [rois, 7].
StageLoss RefinementLoss(const at::Tensor& scores, const at::Tensor& regression,
                         const at::Tensor& labels, const at::Tensor& valid, const at::Tensor& truth,
                         const std::array<float, 3>& mean_size);

}  // namespace backfire::detection
