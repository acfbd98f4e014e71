#include "services/detection/detector_recipe.h"

#include <utility>

namespace backfire::detection {

std::vector<std::unique_ptr<DetectorRecipe>> MakeDetectorRecipes(
    const DetectorConfig& config, const learning::DeviceOptions& options) {
  std::vector<std::unique_ptr<DetectorRecipe>> recipes;
  recipes.push_back(MakeFrustumPointNetRecipe(config, options));
  recipes.push_back(MakeFullFrustumPointNetRecipe(config, options));
  for (auto& recipe : MakePointRcnnRecipes(config, options)) recipes.push_back(std::move(recipe));
  return recipes;
}

}  // namespace backfire::detection
