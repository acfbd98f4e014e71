#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datasets/stereo_dataset.h"
#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::disparity {

/// A family of recipes of the disparity vertex: those that share their parameters and their code.
/// Thread-safe.
class RecipeFamily {
 public:
  virtual ~RecipeFamily() = default;

  /// The family's recipes, every parameter at its default. Names are unique over all families.
  virtual std::vector<v1::Recipe> Recipes() const = 0;

  /// Checks the values of a complete recipe of the family. INVALID_ARGUMENT:
  /// `recipe.parameters.steps must be in [1, 10]: got 0`.
  virtual absl::Status Check(const v1::Recipe& recipe) const = 0;

  /// As runtime::Model::Train does, for a recipe that passed Check.
  virtual absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                            const datasets::StereoDataset& dataset,
                                            runtime::JobContext& job) const = 0;

  /// As runtime::Model::Load does, for a recipe that passed Check.
  virtual absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const = 0;

  /// Weights of an untrained network of a recipe that passed Check: the names, shapes and types
  /// that a file to import must have. FAILED_PRECONDITION, as it is here: the recipe has no
  /// weights.
  virtual absl::StatusOr<std::string> UntrainedWeights(const v1::Recipe& recipe) const;

  /// As runtime::Model::DependsOnSeed.
  virtual bool DependsOnSeed() const { return true; }

  /// As runtime::Model::PredictFromDataset, for an unservable recipe; as it is here: UNIMPLEMENTED.
  virtual absl::StatusOr<runtime::TensorMap> PredictFromDataset(
      const v1::Recipe& recipe, const std::string& weights, const datasets::StereoDataset& dataset,
      runtime::Split split, int64_t example) const;
};

/// PSMNet, small and as published (psmnet_recipes.cc).
std::unique_ptr<RecipeFamily> MakePsmNetRecipes(const learning::DeviceOptions& options);

/// `sgbm`: OpenCV's semi-global matching, with the holes filled; nothing is learnt
/// (classical_recipes.cc).
std::unique_ptr<RecipeFamily> MakeSgbmRecipe();

/// `oracle`: the ground truth itself, 0 where there is none. It can be evaluated and materialised,
/// not served (classical_recipes.cc).
std::unique_ptr<RecipeFamily> MakeOracleRecipe();

/// All families: a new one is a line here (recipe_families.cc).
std::vector<std::unique_ptr<RecipeFamily>> MakeRecipeFamilies(
    const learning::DeviceOptions& options);

}  // namespace backfire::disparity
