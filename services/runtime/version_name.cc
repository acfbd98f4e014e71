#include "services/runtime/version_name.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace backfire::runtime {

std::string VersionName(const std::string& model_name, int64_t number) {
  return absl::StrCat(model_name, "/versions/", number);
}

absl::StatusOr<VersionId> ParseVersionName(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  VersionId id;
  if (parts.size() != 4 || parts[0] != "models" || parts[1].empty() || parts[2] != "versions" ||
      !absl::SimpleAtoi(parts[3], &id.number) || id.number < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a version's name must be models/{model}/versions/{number}: got \"", name, "\""));
  }
  id.model_name = absl::StrCat("models/", parts[1]);
  return id;
}

}  // namespace backfire::runtime
