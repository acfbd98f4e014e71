#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "services/base/random.h"

namespace backfire::disparity {

/// A convolution without a bias, padded so that stride 1 keeps the size.
struct ConvolutionOptions {
  int64_t dimensions = 2;  ///< 2 or 3.
  int64_t in = 0, out = 0;
  int64_t kernel = 3, stride = 1, dilation = 1;
  bool doubling = false;  ///< Transposed, 3D: stride 2, and an output of twice the size.
};

/// `weight` as PyTorch stores it, drawn from `random`: normal with deviation sqrt(2 / (kernel
/// volume * out)), or PyTorch's default where transposed, as PSMNet's authors have it.
class ConvolutionImpl : public torch::nn::Module {
 public:
  ConvolutionImpl(const ConvolutionOptions& options, Random& random);
  torch::Tensor forward(const torch::Tensor& x) { return Convolve(x, weight_, {}); }
  /// With other weights of the same shape, and a bias if it is defined. Takes oneDNN's path on a
  /// CPU whatever the size: LibTorch 1.13 leaves it, for one 50 times slower, where the batch is 1
  /// and the input small, and has no fast path for transposed 3D convolutions.
  torch::Tensor Convolve(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias) const;
  const torch::Tensor& weight() const { return weight_; }
  /// The dimension of the weight that its output channels are.
  int64_t output_dimension() const { return options_.doubling ? 1 : 0; }

 private:
  const ConvolutionOptions options_;
  torch::Tensor weight_;
};
TORCH_MODULE(Convolution);

/// Batch normalisation with PyTorch's defaults (eps 1e-5, momentum 0.1), for any dimensions.
class BatchNormImpl : public torch::nn::Module {
 public:
  explicit BatchNormImpl(int64_t channels);
  torch::Tensor forward(const torch::Tensor& x);
  /// In evaluation, it is x * scale + shift. FP32 [channels] each.
  std::pair<torch::Tensor, torch::Tensor> ScaleAndShift() const;

 private:
  torch::Tensor weight_, bias_, running_mean_, running_var_, num_batches_tracked_;
};
TORCH_MODULE(BatchNorm);

/// Convolution, batch normalisation, and what the caller asks for behind them: `0` and `1`.
class ConvBnImpl : public torch::nn::Module {
 public:
  ConvBnImpl(const ConvolutionOptions& options, Random& random);
  /// relu?(bn(conv(x)) + added?). In evaluation without gradients the normalisation is folded into
  /// the convolution.
  torch::Tensor forward(const torch::Tensor& x, bool relu, const torch::Tensor& added = {});

 private:
  Convolution convolution_{nullptr};
  BatchNorm norm_{nullptr};
};
TORCH_MODULE(ConvBn);

/// Layers under the names that PyTorch's Sequential would give them, which counts those without
/// weights (ReLU, pooling) as well.
class LayersImpl : public torch::nn::Module {
 public:
  /// Adds a ConvBn as `name`, followed by a ReLU or not.
  LayersImpl& Add(const std::string& name, const ConvolutionOptions& options, bool relu,
                  Random& random);
  /// Adds a convolution alone.
  LayersImpl& AddConvolution(const std::string& name, const ConvolutionOptions& options,
                             Random& random);
  torch::Tensor forward(torch::Tensor x);
  /// The same, with `added` before the last layer's ReLU.
  torch::Tensor forward(torch::Tensor x, const torch::Tensor& added);

 private:
  struct Layer {
    ConvBn conv_bn{nullptr};
    Convolution convolution{nullptr};
    bool relu = false;
  };
  std::vector<Layer> layers_;
};
TORCH_MODULE(Layers);

}  // namespace backfire::disparity
