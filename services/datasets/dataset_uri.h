#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::datasets {

/// `scheme:path?key=value&key=value`. No escapes: a path may hold anything but `?`.
struct DatasetUri {
  std::string scheme, path;
  std::vector<std::pair<std::string, std::string>> parameters;  ///< In the text's order.
};

/// INVALID_ARGUMENT: no scheme, an empty path, a parameter without `=`, or one that occurs twice.
absl::StatusOr<DatasetUri> ParseDatasetUri(const std::string& uri);

/// An INVALID_ARGUMENT that names the URI.
absl::Status MalformedUri(const std::string& uri, absl::string_view why);

}  // namespace backfire::datasets
