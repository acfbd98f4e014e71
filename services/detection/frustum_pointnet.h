#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <array>
#include <cstdint>

#include "services/learning/stack.h"

namespace backfire::detection {

/// Directions that headings are sorted into before they are refined.
inline constexpr int64_t kHeadingBins = 12;

/// What the network says of a batch of frusta.
struct FrustumPrediction {
  torch::Tensor mask_logits;        ///< [B, N, 2]: clutter, object.
  torch::Tensor first_centre;       ///< [B, 3]: after the T-Net.
  torch::Tensor centre;             ///< [B, 3]: after the box net.
  torch::Tensor heading_logits;     ///< [B, kHeadingBins].
  torch::Tensor heading_residuals;  ///< [B, kHeadingBins], radians off the bins' centres.
  torch::Tensor size_residual;      ///< [B, 3]: log of height, width, length over the mean size.
};

/// What is true of it.
struct FrustumTruth {
  torch::Tensor mask;     ///< INT64 [B, N]: 1 on the object.
  torch::Tensor centre;   ///< [B, 3].
  torch::Tensor size;     ///< [B, 3]: height, width, length.
  torch::Tensor heading;  ///< [B].
};

/// Frustum PointNet v1 (Qi et al., 2018, figure 2), smaller, for one class: instance segmentation,
/// T-Net, amodal box estimation. Masked points are kept apart by masking their features before the
/// maximum rather than by drawing them again.
class FrustumPointNetImpl : public torch::nn::Module {
 public:
  /// @param mean_size  Height, width, length of the class, metres.
  explicit FrustumPointNetImpl(const std::array<float, 3>& mean_size);

  /// @param points  [B, N, 3], metres, see Frustum.
  /// @param depth   [B], median depth, metres.
  FrustumPrediction forward(const torch::Tensor& points, const torch::Tensor& depth);

  /// Multi-task loss of the paper (equation 1), corner loss included.
  torch::Tensor Loss(const FrustumPrediction& prediction, const FrustumTruth& truth) const;

  /// Height, width, length, metres.
  torch::Tensor Size(const FrustumPrediction& prediction) const;
  /// Heading by the likeliest bin, radians.
  torch::Tensor Heading(const FrustumPrediction& prediction) const;

 private:
  const torch::Tensor mean_size_;
  learning::Stack segment_points_, segment_global_, segment_head_;
  learning::Stack tnet_points_, tnet_head_;
  learning::Stack box_points_, box_head_;
};
TORCH_MODULE(FrustumPointNet);

}  // namespace backfire::detection
