#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace backfire::records {

/// `updates/{number}` and `releases/{number}`.
std::string UpdateName(int64_t number);
std::string ReleaseName(int64_t number);

/// The number in a resource name such as `updates/3`. INVALID_ARGUMENT: malformed.
absl::StatusOr<int64_t> ParseNumber(const std::string& name, const std::string& collection);

}  // namespace backfire::records
