#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/detection/pointnet2/point_ops.h"

namespace backfire::detection {

/// What a layer does beyond multiplying. The published networks have either batch norm or a bias.
struct PointLayerOptions {
  int64_t in = 0, out = 0;
  bool batch_norm = false;
  bool bias = false;
  bool relu = true;
  int64_t kernel_dims = 2;  ///< Ones that the weight's shape ends with: 2 as of a Conv2d, 1.
};

/// A layer that sees each point by itself: [points, in] -> [points, out]. Called `conv` and `bn.bn`
/// in the published weights. In evaluation without gradients batch norm is folded into the weights.
class PointLayerImpl : public torch::nn::Module {
 public:
  /// Weights are normal, of standard deviation sqrt(2 / in) with batch norm (He et al., 2015), else
  /// sqrt(2 / (in + out)) (Glorot and Bengio, 2010); biases are 0.
  PointLayerImpl(const PointLayerOptions& options, Random& random);
  torch::Tensor forward(const torch::Tensor& rows);
  /// The same of rows [offset | features of the point], for every entry of `groups`. The features
  /// [points, in - 3] are multiplied once a point; undefined if there are none.
  torch::Tensor ForwardGrouped(const torch::Tensor& features, const pointnet2::Groups& groups);

  torch::Tensor weight, bias;  ///< [out, in, 1...]; [out] or undefined.

 private:
  torch::Tensor Finish(torch::Tensor rows);
  // Weight [out, in] and bias [out] that include batch norm.
  std::pair<torch::Tensor, torch::Tensor> Folded() const;
  bool Folds() const;

  const PointLayerOptions options_;
  torch::nn::BatchNorm1d norm_{nullptr};
};
TORCH_MODULE(PointLayer);

/// Layers one after the other, called `layer0`, `layer1` ...
class SharedMlpImpl : public torch::nn::Module {
 public:
  /// @param channels  Of the input, then of each layer's output.
  SharedMlpImpl(const std::vector<int64_t>& channels, bool batch_norm, Random& random);
  torch::Tensor forward(torch::Tensor rows);
  /// The first layer as ForwardGrouped, then the others, then the maximum of each group.
  torch::Tensor ForwardGrouped(const torch::Tensor& features, const pointnet2::Groups& groups);

 private:
  torch::Tensor RestOfGroups(torch::Tensor rows, const torch::Tensor& start);
  std::vector<PointLayer> layers_;
};
TORCH_MODULE(SharedMlp);

/// What a set abstraction answers.
struct Abstraction {
  pointnet2::Sampling sampling;  ///< Its groups are those of each ball.
  torch::Tensor features;        ///< [centres, channels]: of one ball after the other.
};

/// Set abstraction (PointNet++, multi-scale grouping): networks `mlps.0`, `mlps.1` ... on balls.
class SetAbstractionImpl : public torch::nn::Module {
 public:
  /// @param centres  How many; 0 groups all points of a cloud about its origin.
  /// @param channels  One list for each ball: of the features, then of each layer's output.
  SetAbstractionImpl(int64_t centres, std::vector<pointnet2::Ball> balls,
                     const std::vector<std::vector<int64_t>>& channels, bool batch_norm,
                     Random& random);
  /// @param features  [points, channels], or undefined.
  Abstraction forward(const pointnet2::Clouds& clouds, const torch::Tensor& features,
                      bool in_farthest_order);

 private:
  const int64_t centres_;
  const std::vector<pointnet2::Ball> balls_;
  const bool batch_norm_;
  std::vector<SharedMlp> mlps_;
};
TORCH_MODULE(SetAbstraction);

/// Feature propagation: [interpolated | skip] through the network `mlp`.
class FeaturePropagationImpl : public torch::nn::Module {
 public:
  FeaturePropagationImpl(const std::vector<int64_t>& channels, Random& random);
  /// @param skip  [queries, channels], or undefined.
  torch::Tensor forward(const pointnet2::Neighbours& neighbours, const torch::Tensor& known,
                        const torch::Tensor& skip);

 private:
  SharedMlp mlp_{nullptr};
};
TORCH_MODULE(FeaturePropagation);

}  // namespace backfire::detection
