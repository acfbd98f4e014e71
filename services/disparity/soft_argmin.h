#pragma once

#include <torch/types.h>

#include <cstdint>

namespace backfire::disparity {

/// Disparity from matching scores at a fraction of the resolution: upsamples them trilinearly to
/// [max_disparity, height, width], and takes the expectation of 0 ... max_disparity - 1 under their
/// softmax (Kendall et al., GC-Net, ICCV 2017, eq. 1). On a CPU the upsampled scores, the largest
/// tensor of the network by far, are never stored. Differentiable.
/// @param scores  FP32 [B, planes, h, w], higher is better.
/// @return FP32 [B, height, width], pixels, in [0, max_disparity - 1].
torch::Tensor SoftArgmin(const torch::Tensor& scores, int64_t max_disparity, int64_t height,
                         int64_t width, bool align_corners);

/// The upsampled scores [B, max_disparity, height, width].
torch::Tensor UpsampleScores(const torch::Tensor& scores, int64_t max_disparity, int64_t height,
                             int64_t width, bool align_corners);

/// The same by LibTorch's own operators, for other devices and for tests.
torch::Tensor SoftArgminByOperators(const torch::Tensor& scores, int64_t max_disparity,
                                    int64_t height, int64_t width, bool align_corners);

}  // namespace backfire::disparity
