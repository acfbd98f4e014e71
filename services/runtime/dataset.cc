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

std::vector<std::string> Clusters(const Dataset& dataset, Split split) {
  std::vector<std::string> clusters;
  for (int64_t i = 0; i < dataset.size(split); ++i) clusters.push_back(dataset.Cluster(split, i));
  return clusters;
}

}  // namespace backfire::runtime
