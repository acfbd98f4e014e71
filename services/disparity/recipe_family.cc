#include "services/disparity/recipe_family.h"

#include "absl/strings/str_cat.h"

namespace backfire::disparity {

absl::StatusOr<std::string> RecipeFamily::UntrainedWeights(const v1::Recipe& recipe) const {
  return absl::FailedPreconditionError(absl::StrCat(
      "recipe \"", recipe.name(), "\" learns no weights: there is nothing to import or export"));
}

absl::StatusOr<runtime::TensorMap> RecipeFamily::PredictFromDataset(const v1::Recipe& recipe,
                                                                    const std::string&,
                                                                    const datasets::StereoDataset&,
                                                                    runtime::Split, int64_t) const {
  return absl::UnimplementedError(
      absl::StrCat("recipe \"", recipe.name(), "\" predicts from its inputs alone"));
}

}  // namespace backfire::disparity
