#pragma once

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "services/learning/device_options.h"

namespace backfire::learning {

/// The one place where a device is chosen. INVALID_ARGUMENT: no such device, or malformed.
absl::StatusOr<torch::Device> ChooseDevice(const DeviceOptions& options);

/// LibTorch's version and what its CPU kernels are chosen by: equal fingerprints on a CPU give
/// equal numbers.
std::string NumericFingerprint();

/// Makes LibTorch and BLAS use this many threads for what the calling thread computes. Results of a
/// training may depend on the number, which is why it is part of every recipe.
void UseThreads(int threads);

}  // namespace backfire::learning
