#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// Calls `visit` with 0 to count - 1, in order, until one fails, and shows the job's progress as
/// `stage` ("reading the dataset").
/// CANCELLED, with the stage, once the job is; else what `visit` returned.
absl::Status ForEachExample(int64_t count, const std::string& stage, JobContext& job,
                            absl::FunctionRef<absl::Status(int64_t)> visit);

}  // namespace backfire::runtime
