#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "services/disparity/convolution.h"
#include "services/disparity/psmnet_options.h"

namespace backfire::disparity {

/// Intermediate results by the names of the reference vectors; for tests.
using PsmNetTrace = std::map<std::string, torch::Tensor>;

/// PSMNet's features of an image: residual layers, then spatial pyramid pooling.
class FeatureExtractionImpl : public torch::nn::Module {
 public:
  FeatureExtractionImpl(const PsmNetOptions& options, Random& random);
  /// @param image  FP32 [B, 3, H, W], normalised.
  /// @param trace  If not null, gets `{prefix}.layer1` and so on.
  /// @return FP32 [B, features, H / volume_scale, W / volume_scale].
  torch::Tensor forward(const torch::Tensor& image, const std::string& prefix, PsmNetTrace* trace);

 private:
  const std::vector<int64_t> pyramid_;
  const bool align_corners_;
  Layers firstconv_, lastconv_;
  struct Block {
    Layers conv1{nullptr};
    ConvBn conv2{nullptr};
    ConvBn downsample{nullptr};
  };
  std::vector<std::vector<Block>> layers_;
  std::vector<Layers> branches_;
};
TORCH_MODULE(FeatureExtraction);

}  // namespace backfire::disparity
