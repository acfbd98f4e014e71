#pragma once

#include <torch/types.h>

#include <vector>

#include "services/disparity/disparity_loss_rules.h"

namespace backfire::disparity {

/// The error of one predicted map: weighted mean over the pixels that `rules` supervises.
///
/// kDisparity is |d - y|, kSmoothDisparity smooth L1 (beta 1 px). kDepth is |C/d - C/y|, and
/// kSmoothDepth its smooth L1 (beta 1 m); a prediction beyond twice `max_depth_m` is held there,
/// with a linear penalty in disparity beneath it, so that error and gradient stay finite as d -> 0.
/// With a `far_weight`, a pixel whose truth is beyond `max_depth_m` has the error towards just that
/// depth where the prediction is nearer, and none where it isn't. A batch without supervised pixels
/// has loss 0. No host synchronisation.
/// @param predicted, truth  FP32 [B, H, W], pixels; truth <= 0 is unknown.
/// @param focal_times_baseline  FP32 [B], C: depth = C / disparity.
torch::Tensor DisparityLoss(const LossRules& rules, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline);

/// The sum over a network's outputs, weighted as its authors do (OutputWeights in psmnet.h).
torch::Tensor WeightedDisparityLoss(const LossRules& rules,
                                    const std::vector<torch::Tensor>& predicted,
                                    const torch::Tensor& truth,
                                    const torch::Tensor& focal_times_baseline);

}  // namespace backfire::disparity
