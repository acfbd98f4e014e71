#include "services/runtime/versions/load_predictor.h"

#include <string>
#include <utility>

#include "services/base/exceptions.h"
#include "services/base/status.h"

namespace backfire::runtime {

absl::StatusOr<v1::Recipe> CompleteRecipe(const Model& model, const v1::Version& version) {
  absl::StatusOr<v1::Recipe> recipe = model.ResolveRecipe(version.recipe());
  if (!recipe.ok()) return Annotate(recipe.status(), version.name());
  return recipe;
}

absl::StatusOr<std::shared_ptr<const Predictor>> LoadPredictor(const Model& model,
                                                               const VersionStore& versions,
                                                               const v1::Version& version) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions.ReadWeights(id.number));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(model, version));
  absl::StatusOr<std::unique_ptr<Predictor>> predictor =
      CatchExceptions([&] { return model.Load(recipe, weights); });
  if (!predictor.ok()) return Annotate(predictor.status(), version.name());
  return std::shared_ptr<const Predictor>(*std::move(predictor));
}

}  // namespace backfire::runtime
