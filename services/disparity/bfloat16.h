#pragma once

#include <torch/types.h>

#include "absl/status/status.h"

namespace backfire::disparity {

/// Whether PSMNet can be trained and served in bfloat16 on `device`. FAILED_PRECONDITION, naming
/// the recipe's parameter: it can't. oneDNN is asked rather than tried: where it lacks the kernels,
/// LibTorch 1.13 throws at best.
absl::Status CheckBfloat16(const torch::Device& device);

}  // namespace backfire::disparity
