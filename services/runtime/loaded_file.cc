#include "services/runtime/loaded_file.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/seal.h"
#include "services/base/status.h"
#include "services/runtime/version_number.h"

namespace backfire::runtime {

absl::Status WriteLoadedFile(const std::filesystem::path& path,
                             const std::vector<int64_t>& numbers) {
  std::string text;
  for (const int64_t number : numbers) absl::StrAppend(&text, number, "\n");
  return WriteFileAtomically(path, Seal(text, SealForm::kLastLine));
}

absl::StatusOr<std::vector<int64_t>> ReadLoadedFile(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(std::string text, ReadRegularFile(path));
  const auto damaged = [&path] {
    return absl::DataLossError(absl::StrCat(path.string(), " is no list of versions"));
  };
  // One that has lost its checksum is no list of numbers any more, or nothing at all.
  if (HasSeal(text, SealForm::kLastLine)) {
    BACKFIRE_ASSIGN_OR_RETURN(text, Unseal(text, SealForm::kLastLine, path.string()));
  } else if (text.empty()) {
    return damaged();
  }
  std::vector<int64_t> numbers;
  for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::optional<int64_t> number = ParseVersionNumber(std::string(line));
    if (!number.has_value()) return damaged();
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace backfire::runtime
