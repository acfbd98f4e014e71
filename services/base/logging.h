#pragma once

#include <string>

#include "absl/status/status.h"

namespace backfire {

/// How a process writes its log, on standard error.
struct LogOptions {
  std::string level = "info";   ///< trace, debug, info, warning, error.
  std::string format = "text";  ///< `text` for people, `json` for machines: one object a line.
};

/// Sets up spdlog's default logger. Messages are events: `job state=RUNNING job=jobs/7 step=3`.
/// INVALID_ARGUMENT: unknown level or format.
absl::Status InitLogging(const LogOptions& options, const std::string& process_name);

}  // namespace backfire
