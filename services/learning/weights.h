#pragma once

#include <torch/nn/module.h>

#include <string>

#include "absl/status/status.h"

namespace backfire::learning {

/// Parameters and buffers of a module as bytes, equal for equal values. Layout, little-endian: the
/// text `backfire-weights-1\n`; the number of tensors (8 bytes); for each, by name in alphabetical
/// order: length and text of its name, element type (1 byte: 6 float32, 4 int64, as in LibTorch's
/// ScalarType), rank, sizes (8 bytes each), elements.
std::string SaveWeights(const torch::nn::Module& module);

/// Fills a module from such bytes. DATA_LOSS: truncated, or not of this module: names what differs.
absl::Status LoadWeights(const std::string& bytes, torch::nn::Module& module);

}  // namespace backfire::learning
