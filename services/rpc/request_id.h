#pragma once

#include <string>

#include "absl/status/status.h"

namespace backfire::runtime {

/// Checks the name that a client gives to a call, so that the same call again isn't done twice.
/// INVALID_ARGUMENT: not 1 to 128 characters of [A-Za-z0-9._/-].
absl::Status CheckRequestId(const std::string& request_id);

}  // namespace backfire::runtime
