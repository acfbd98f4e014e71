#include "services/runtime/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

v1::Model MakeModel() {
  v1::Model model;
  model.set_name("models/m");
  v1::Recipe* recipe = model.add_recipes();
  recipe->set_name("r");
  SetParameter(*recipe, "steps", 100);
  SetParameter(*recipe, "loss", "mae");
  return model;
}

TEST(RecipeTest, LeftOutParametersHaveTheirDefaults) {
  v1::Recipe recipe;
  recipe.set_name("r");
  SetParameter(recipe, "steps", 7);
  const auto complete = CompleteRecipe(MakeModel(), recipe);
  ASSERT_TRUE(complete.ok()) << complete.status();
  ParameterReader reader(*complete);
  EXPECT_EQ(reader.Integer("steps", 1, 1000), 7);
  EXPECT_EQ(reader.Text("loss"), "mae");
  EXPECT_TRUE(reader.status().ok()) << reader.status();
}

TEST(RecipeTest, WhatIsUnknownOrOfAnotherTypeIsRefusedByName) {
  v1::Recipe recipe;
  recipe.set_name("q");
  EXPECT_THAT(std::string(CompleteRecipe(MakeModel(), recipe).status().message()), HasSubstr("r"));
  recipe.set_name("r");
  SetParameter(recipe, "stepz", 1);
  EXPECT_THAT(std::string(CompleteRecipe(MakeModel(), recipe).status().message()),
              HasSubstr("stepz"));
  recipe.clear_parameters();
  SetParameter(recipe, "steps", "many");
  EXPECT_TRUE(absl::IsInvalidArgument(CompleteRecipe(MakeModel(), recipe).status()));
}

TEST(RecipeTest, ValuesOutOfRangeAreRefused) {
  for (const double value : {0.0, 2.5, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
    v1::Recipe recipe;
    SetParameter(recipe, "steps", value);
    ParameterReader reader(recipe);
    reader.Integer("steps", 1, 1000);
    EXPECT_TRUE(absl::IsInvalidArgument(reader.status())) << value;
  }
}

}  // namespace
}  // namespace backfire::runtime
