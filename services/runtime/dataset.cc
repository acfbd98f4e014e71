#include "services/runtime/dataset.h"

#include "absl/strings/str_cat.h"

namespace backfire::runtime {

std::string_view SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
    case Split::kPopulation:
      break;
  }
  return "population";
}

absl::StatusOr<Split> ParseSplit(std::string_view name) {
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest, Split::kPopulation}) {
    if (SplitName(split) == name) return split;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "split must be train, validation, test or population: got \"", std::string(name), "\""));
}

}  // namespace backfire::runtime
