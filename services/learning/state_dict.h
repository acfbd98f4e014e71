#pragma once

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

namespace backfire::learning {

/// Parameters and buffers of a module by name, in the order of PyTorch's state_dict(): a module's
/// own parameters, its own buffers, then its children. The tensors are the module's, not copies.
std::vector<std::pair<std::string, torch::Tensor>> StateDict(const torch::nn::Module& module);

}  // namespace backfire::learning
