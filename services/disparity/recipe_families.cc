#include "services/disparity/recipe_family.h"

namespace backfire::disparity {

std::vector<std::unique_ptr<RecipeFamily>> MakeRecipeFamilies(
    const learning::DeviceOptions& options) {
  std::vector<std::unique_ptr<RecipeFamily>> families;
  families.push_back(MakePsmNetRecipes(options));
  families.push_back(MakeSgbmRecipe());
  families.push_back(MakeOracleRecipe());
  return families;
}

}  // namespace backfire::disparity
