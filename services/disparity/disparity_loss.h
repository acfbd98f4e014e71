#pragma once

#include <torch/types.h>

namespace backfire::disparity {

/// Which error a training minimises (paper, section 4.1).
enum class LossKind {
  kDepth,      ///< Mean of |C/d - C/y| over the valid pixels: metres. The paper's u.
  kDisparity,  ///< Mean of smooth-L1(d - y): pixels. The paper's u'.
};

/// @param predicted, truth  FP32 [B, H, W], pixels; truth <= 0 is not valid.
/// @param focal_times_baseline  FP32 [B], C: depth = C / disparity.
/// @param max_depth_m  Pixels farther than this are not supervised, as LiDAR would not see them. A
///   prediction beyond twice this depth is held there, with a linear penalty in disparity, so that
///   the depth error of d -> 0 stays finite.
torch::Tensor DisparityLoss(LossKind kind, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline,
                            double max_depth_m);

}  // namespace backfire::disparity
