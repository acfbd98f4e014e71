#pragma once

#include <torch/types.h>

#include <cstdint>

namespace backfire::disparity {

/// What a cost volume holds, per plane and pixel of the left image.
enum class CostVolumeKind {
  kConcatenation,  ///< [f_left, f_right]: PSMNet as published.
  kDifference,     ///< [f_left, |f_left - f_right|].
};

/// Puts features of both images side by side: plane d pairs the left pixel x with the right pixel
/// x - d. Pixels x < d have no partner, and all their channels are zero. Differentiable. Each
/// element is written once.
/// @param left, right  FP32 [B, C, h, w].
/// @return FP32 [B, 2 C, planes, h, w].
torch::Tensor CostVolume(const torch::Tensor& left, const torch::Tensor& right, int64_t planes,
                         CostVolumeKind kind);

/// The same by LibTorch's own operators, for other devices and for tests.
torch::Tensor CostVolumeByOperators(const torch::Tensor& left, const torch::Tensor& right,
                                    int64_t planes, CostVolumeKind kind);

}  // namespace backfire::disparity
