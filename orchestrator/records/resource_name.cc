#include "orchestrator/records/resource_name.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/excerpt.h"

namespace backfire::records {

std::string UpdateName(int64_t number) { return absl::StrCat("updates/", number); }
std::string ReleaseName(int64_t number) { return absl::StrCat("releases/", number); }

absl::StatusOr<int64_t> ParseNumber(const std::string& name, const std::string& collection) {
  absl::string_view rest = name;
  int64_t number = 0;
  if (!absl::ConsumePrefix(&rest, absl::StrCat(collection, "/")) ||
      !absl::SimpleAtoi(rest, &number) || number < 1 || absl::StrCat(number) != rest) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name must be ", collection, "/{number}: got \"", Excerpt(name), "\""));
  }
  return number;
}

}  // namespace backfire::records
