#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Weights that a training starts from.
struct InitialWeights {
  std::string digest;  ///< Of the version, or, of weights that come with the model, their own.
  std::function<absl::StatusOr<std::string>()> read;  ///< Valid as long as the version store.
};

/// Finds what a recipe's parameter `initialize_from` names: a version of this model, or weights
/// that come with it (`pretrained:NAME`). Nothing if the training starts from scratch.
/// INVALID_ARGUMENT, NOT_FOUND: names the field.
/// @param recipe  As Model::ResolveRecipe returned it.
absl::StatusOr<std::optional<InitialWeights>> FindInitialWeights(const DescribedModel& model,
                                                                 const VersionStore& versions,
                                                                 const v1::Recipe& recipe);

}  // namespace backfire::runtime
