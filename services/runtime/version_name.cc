#include "services/runtime/version_name.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/runtime/version_number.h"

namespace backfire::runtime {

std::string VersionName(const std::string& model_name, int64_t number) {
  return absl::StrCat(model_name, "/versions/", number);
}

absl::StatusOr<VersionId> ParseVersionName(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  const std::optional<int64_t> number =
      parts.size() == 4 ? ParseVersionNumber(parts[3]) : std::nullopt;
  if (!number.has_value() || parts[0] != "models" || parts[1].empty() || parts[2] != "versions") {
    return absl::InvalidArgumentError(absl::StrCat(
        "a version's name must be models/{model}/versions/{number}: got \"", name, "\""));
  }
  return VersionId{absl::StrCat("models/", parts[1]), *number};
}

}  // namespace backfire::runtime
