#pragma once

#include <functional>

#include "absl/status/status.h"
#include "services/runtime/dataset.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// Runs a predictor on all examples, `threads` of them at a time, and hands each result to `take`
/// in order, on the calling thread. The result does not depend on `threads`. Stops at the first
/// error, which names the example. CANCELLED: `cancelled` said so.
absl::Status PredictInOrder(
    const Predictor& predictor, const Examples& inputs, int threads,
    const std::function<bool()>& cancelled,
    const std::function<absl::Status(int64_t example, TensorMap outputs)>& take);

}  // namespace backfire::runtime
