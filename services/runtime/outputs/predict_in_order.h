#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

/// Calls `predict` for examples 0 to size - 1, `threads` of them at a time, and hands each result
/// to `take` in order, on the calling thread. The result does not depend on `threads`. Stops at the
/// first error, which names the example. CANCELLED: `cancelled` said so.
/// @param predict  Thread-safe.
absl::Status PredictInOrder(
    int64_t size, int threads, const std::function<bool()>& cancelled,
    const std::function<absl::StatusOr<TensorMap>(int64_t example)>& predict,
    const std::function<absl::Status(int64_t example, TensorMap outputs)>& take);

}  // namespace backfire::runtime
