#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace backfire::runtime {

/// `models/{model}/versions/{number}`.
std::string VersionName(const std::string& model_name, int64_t number);

/// The parts of a version's resource name. INVALID_ARGUMENT: malformed.
struct VersionId {
  std::string model_name;  ///< `models/{model}`.
  int64_t number = 0;
};
absl::StatusOr<VersionId> ParseVersionName(const std::string& name);

}  // namespace backfire::runtime
