#pragma once

#include <torch/types.h>

#include "absl/status/statusor.h"
#include "services/learning/device_options.h"
#include "services/learning/fingerprint.h"

namespace backfire::learning {

/// The one place where a device is chosen. INVALID_ARGUMENT: no such device, or malformed.
absl::StatusOr<torch::Device> ChooseDevice(const DeviceOptions& options);

/// The tensor on `device`; to a GPU from pinned memory, without waiting for the copy.
torch::Tensor ToDevice(const torch::Tensor& tensor, const torch::Device& device);

/// Makes LibTorch and BLAS use this many threads for what the calling thread computes. Results of a
/// training may depend on the number, which is why it is part of every recipe.
void UseThreads(int threads);

}  // namespace backfire::learning
