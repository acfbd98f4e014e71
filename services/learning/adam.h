#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>

namespace backfire::learning {

/// How far one step goes.
struct AdamStep {
  double learning_rate = 1e-3;
  double gradient_norm = 1e9;  ///< A longer gradient is scaled down to it.
  double beta1 = 0.9;
  double weight_decay = 0;  ///< L2, added to the gradient; or, decoupled, times rate and weight.
  bool decoupled = false;
};

/// Adam (Kingma and Ba, 2015; second beta 0.999, eps 1e-8) over a network's parameters as one
/// array: parameters and gradients become views of it, so that a step is a few operations, whatever
/// the number of layers, and needs no host synchronisation.
class Adam {
 public:
  /// Moves the parameters of `network`, which must outlive it, into the array.
  explicit Adam(torch::nn::Module& network);

  void ZeroGradients() { gradient_.zero_(); }
  /// L2 norm of the whole gradient, a scalar on the network's device.
  torch::Tensor GradientNorm() const { return gradient_.norm(); }
  void Step(const AdamStep& step);

  /// What a checkpoint keeps beside the network: first and second moments, and the number of steps.
  const torch::Tensor& first_moment() const { return first_moment_; }
  const torch::Tensor& second_moment() const { return second_moment_; }
  int64_t steps() const { return steps_; }
  void Restore(const torch::Tensor& first_moment, const torch::Tensor& second_moment,
               int64_t steps);

 private:
  torch::Tensor parameters_, gradient_, first_moment_, second_moment_;
  int64_t steps_ = 0;
};

}  // namespace backfire::learning
