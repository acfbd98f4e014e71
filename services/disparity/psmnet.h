#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "services/disparity/convolution.h"
#include "services/disparity/psmnet_features.h"
#include "services/disparity/psmnet_options.h"

namespace backfire::disparity {

/// Encoder and decoder over the cost volume, with shortcuts to other hourglasses.
class HourglassImpl : public torch::nn::Module {
 public:
  HourglassImpl(int64_t channels, Random& random);
  struct Result {
    torch::Tensor out, pre, post;
  };
  /// `pre`, `post`: what an earlier hourglass gave, or undefined.
  Result forward(const torch::Tensor& x, const torch::Tensor& pre, const torch::Tensor& post);

 private:
  Layers conv1_, conv3_, conv4_;
  ConvBn conv2_{nullptr}, conv5_{nullptr}, conv6_{nullptr};
};
TORCH_MODULE(Hourglass);

/// PSMNet (Chang and Chen, "Pyramid Stereo Matching Network", CVPR 2018): features with spatial
/// pyramid pooling, a cost volume, 3D convolutions (stacked hourglasses or `basic`), soft argmin.
/// Modules bear the names of the authors' code, in its order.
class PsmNetImpl : public torch::nn::Module {
 public:
  /// Initial weights depend on the options and the seed alone.
  PsmNetImpl(const PsmNetOptions& options, int64_t seed);

  /// @param left, right  FP32 [B, 3, H, W], normalised (see Normalise); H and W multiples of
  ///   options().multiple().
  /// @param trace  If not null, gets intermediate results.
  /// @return Disparities of the left image, each FP32 [B, H, W], pixels, in [0, max_disparity - 1].
  ///   In training one per hourglass, the last one the best; in evaluation that one alone.
  std::vector<torch::Tensor> forward(const torch::Tensor& left, const torch::Tensor& right,
                                     PsmNetTrace* trace = nullptr);

  const PsmNetOptions& options() const { return options_; }

 private:
  /// Scores [B, planes, h, w] per head.
  std::vector<torch::Tensor> Scores(torch::Tensor volume, PsmNetTrace* trace);
  std::vector<torch::Tensor> BasicScores(torch::Tensor volume, PsmNetTrace* trace);

  const PsmNetOptions options_;
  FeatureExtraction feature_extraction_{nullptr};
  Layers dres0_, dres1_;
  std::vector<Layers> pairs_;           // `basic`: dres2 ... dres4.
  std::vector<Hourglass> hourglasses_;  // dres2 ...
  std::vector<Layers> heads_;
};
TORCH_MODULE(PsmNet);

/// UINT8 [B, H, W, 3] RGB to FP32 [B, 3, H, W] with the mean and deviation of ImageNet, as PSMNet's
/// authors normalise.
torch::Tensor Normalise(const torch::Tensor& images);

/// Each pixel less the mean of the window around it, by the window's deviation over all channels:
/// what a camera's exposure and a world's palette change is gone, texture stays.
/// @param images  [B, C, H, W].
/// @param window  Side of the window, pixels, odd; at a border its part inside.
torch::Tensor LocalContrast(const torch::Tensor& images, int64_t window);

/// The weights of the outputs' losses in training: 0.5, 0.7 and 1 for three hourglasses; fewer
/// have the last of these.
std::vector<double> OutputWeights(size_t outputs);

}  // namespace backfire::disparity
