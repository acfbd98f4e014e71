#pragma once

#include <torch/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/tensor.h"

namespace backfire::learning {

/// A view of a UINT8, INT64, FP32 or FP64 tensor's memory, which must outlive it.
torch::Tensor ViewOf(const runtime::Tensor& tensor);

/// A copy of an FP32 tensor, on any device.
runtime::Tensor ToFp32(const torch::Tensor& tensor);

/// INVALID_ARGUMENT, naming the input and the place: a value is NaN or infinite.
absl::Status CheckFinite(const runtime::Tensor& tensor, const std::string& name);

}  // namespace backfire::learning
