#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "services/learning/stack.h"

namespace backfire::disparity {

/// Sizes of a PSMNet.
struct PsmNetOptions {
  int64_t max_disparity = 96;  ///< Pixels; a multiple of 16.
  int64_t channels = 16;       ///< Of the features at half resolution; others follow from it.
};

/// A small PSMNet: features at a quarter of the resolution with spatial pyramid pooling, a cost
/// volume of [f_left, |f_left - f_right|] with one plane per 4 px of disparity, 3D convolutions
/// with one hourglass, soft argmin. Modules bear the names of the published network's.
class PsmNetImpl : public torch::nn::Module {
 public:
  explicit PsmNetImpl(const PsmNetOptions& options);

  /// @param left, right  FP32 [B, 3, H, W], normalised (see Normalise); H and W multiples of 32.
  /// @return Disparity of the left image, FP32 [B, H, W], pixels, in [0, max_disparity).
  torch::Tensor forward(const torch::Tensor& left, const torch::Tensor& right);

 private:
  torch::Tensor Features(const torch::Tensor& image);
  torch::Tensor CostVolume(const torch::Tensor& left, const torch::Tensor& right) const;

  const PsmNetOptions options_;
  learning::Stack firstconv_, layer1_, layer2_, layer3_;
  std::vector<learning::Stack> branches_;
  learning::Stack lastconv_;
  learning::Stack dres0_, dres1_;
  learning::Stack conv1_, conv2_, conv3_, conv4_, conv5_, conv6_;
  learning::Stack classif_;
};
TORCH_MODULE(PsmNet);

/// UINT8 [B, H, W, 3] RGB to FP32 [B, 3, H, W] with the mean and deviation of ImageNet, as PSMNet's
/// authors normalise.
torch::Tensor Normalise(const torch::Tensor& images);

}  // namespace backfire::disparity
