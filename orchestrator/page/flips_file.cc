#include "orchestrator/page/flips_file.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"

namespace backfire::page {
namespace {

// Of a file of flips: some dozens of pictures.
constexpr int64_t kMostFlips = int64_t{64} << 20;

}  // namespace

absl::StatusOr<v1::ExampleFlips> ReadFlips(const std::string& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string json, ReadRegularFile(path, kMostFlips));
  v1::ExampleFlips flips;
  const auto read = google::protobuf::util::JsonStringToMessage(json, &flips);
  if (!read.ok() || flips.schema_version() != 1 || flips.frames() <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not what `backfire vision flips --out` writes",
                     read.ok() ? std::string() : absl::StrCat(": ", std::string(read.message()))));
  }
  return flips;
}

absl::Status CheckFlips(const std::string& path, const v1::ExampleFlips& flips,
                        const v1::GateReport& report) {
  const v1::UpdateContext& update = report.update();
  const auto is_of = [](const std::string& release, const std::string& wanted) {
    return release.empty() || release == absl::StrCat("releases/", wanted);
  };
  if (is_of(update.baseline_release(), flips.before_release()) &&
      is_of(update.release(), flips.after_release())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": is of releases ", flips.before_release(), " and ", flips.after_release(), ", and ",
      update.name(), " of ", update.baseline_release(), " and ", update.release()));
}

}  // namespace backfire::page
