#pragma once

#include <torch/types.h>

#include <vector>

#include "services/disparity/disparity_loss_kind.h"

namespace backfire::disparity {

/// The error of one predicted map: mean over the valid pixels, those whose true disparity is in
/// (0, max_disparity) and whose depth is at most `max_depth_m`, as LiDAR would see them.
///
/// kDisparity is |d - y|, kSmoothDisparity smooth L1 (beta 1 px). kDepth is |C/d - C/y|; a
/// prediction beyond twice `max_depth_m` is held there, with a linear penalty in disparity beneath
/// it, so that error and gradient stay finite as d -> 0. A batch without valid pixels has loss 0.
/// No host synchronisation.
/// @param predicted, truth  FP32 [B, H, W], pixels; truth <= 0 is not valid.
/// @param focal_times_baseline  FP32 [B], C: depth = C / disparity.
torch::Tensor DisparityLoss(LossKind kind, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline,
                            double max_depth_m, double max_disparity = 1e9);

/// The sum over a network's outputs, weighted as its authors do (OutputWeights in psmnet.h).
torch::Tensor WeightedDisparityLoss(LossKind kind, const std::vector<torch::Tensor>& predicted,
                                    const torch::Tensor& truth,
                                    const torch::Tensor& focal_times_baseline, double max_depth_m,
                                    double max_disparity);

}  // namespace backfire::disparity
