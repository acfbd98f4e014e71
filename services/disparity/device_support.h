#pragma once

#include <torch/types.h>

#include "absl/status/status.h"

namespace backfire::disparity {

/// Whether PSMNet can be trained and served in bfloat16 on `device`. FAILED_PRECONDITION, naming
/// the recipe's parameter: it can't. oneDNN is asked rather than tried: where it lacks the kernels,
/// LibTorch 1.13 throws at best.
absl::Status CheckBfloat16(const torch::Device& device);

/// Whether PSMNet can be trained and served with channels last on `device`. FAILED_PRECONDITION, as
/// CheckBfloat16: with oneDNN's AVX2 kernels (2.6, as LibTorch 1.13 has it) a training damages the
/// heap. Kernels that convolve in bfloat16 are those for AVX-512, which don't.
absl::Status CheckChannelsLast(const torch::Device& device);

}  // namespace backfire::disparity
