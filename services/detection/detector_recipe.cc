#include "services/detection/detector_recipe.h"

namespace backfire::detection {

std::vector<std::unique_ptr<DetectorRecipe>> MakeDetectorRecipes(
    const DetectorConfig& config, const learning::DeviceOptions& options) {
  std::vector<std::unique_ptr<DetectorRecipe>> recipes;
  recipes.push_back(MakeFrustumPointNetRecipe(config, options));
  return recipes;
}

}  // namespace backfire::detection
