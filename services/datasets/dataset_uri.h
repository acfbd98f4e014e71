#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/digest.h"

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

/// The parameter `height_scale`: a number in (0, 10]. INVALID_ARGUMENT.
inline constexpr char kHeightScale[] = "height_scale";
absl::StatusOr<double> ParseHeightScale(const std::string& uri, const std::string& value);
/// Makes it part of a dataset's identity; of 1, as of none, the identity is what it was.
void DigestHeightScale(double scale, Sha256& digest);

}  // namespace backfire::datasets
