#pragma once

#include <torch/nn/modules/container/sequential.h>

namespace backfire::learning {

/// torch::nn::Sequential that can be a layer of another: LibTorch's own can't, as its forward is a
/// template.
class StackImpl : public torch::nn::SequentialImpl {
 public:
  using SequentialImpl::SequentialImpl;
  torch::Tensor forward(const torch::Tensor& x) { return SequentialImpl::forward(x); }
};
TORCH_MODULE(Stack);

}  // namespace backfire::learning
