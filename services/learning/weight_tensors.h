#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "services/runtime/tensor.h"

namespace backfire::learning {

/// Parameters and buffers of a network by name.
using WeightTensors = std::map<std::string, runtime::Tensor>;

/// Reads the bytes that SaveWeights (weights.h) writes. DATA_LOSS: they are truncated or no
/// weights.
absl::StatusOr<WeightTensors> ParseWeights(const std::string& bytes);

/// Writes such bytes: what SaveWeights would for a module with these tensors, which are FP32, FP64,
/// UINT8 or INT64.
std::string FormatWeights(const WeightTensors& tensors);

}  // namespace backfire::learning
