#include "services/runtime/version_name.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace backfire::runtime {

std::string VersionName(const std::string& model_name, int64_t number) {
  return absl::StrCat(model_name, "/versions/", number);
}

std::optional<int64_t> ParseVersionNumber(const std::string& text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < 1 || absl::StrCat(number) != text) {
    return std::nullopt;
  }
  return number;
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
