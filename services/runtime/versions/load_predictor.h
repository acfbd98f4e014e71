#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// A kept version's recipe, with the parameters that the recipe has got since at their defaults:
/// one that an older program trained must go on working. INVALID_ARGUMENT: the model no longer has
/// the recipe.
absl::StatusOr<v1::Recipe> CompleteRecipe(const Model& model, const v1::Version& version);

/// Reads a kept version's weights, and makes them able to run. DATA_LOSS: they are damaged.
absl::StatusOr<std::shared_ptr<const Predictor>> LoadPredictor(const Model& model,
                                                               const VersionStore& versions,
                                                               const v1::Version& version);

}  // namespace backfire::runtime
