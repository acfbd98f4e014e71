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

TEST(RecipeTest, WhatIsDeclaredIsCheckedAndDescribed) {
  v1::Model model;
  v1::Recipe& recipe = *model.add_recipes();
  recipe.set_name("r");
  google::protobuf::Value list;
  list.mutable_list_value();
  Declare(recipe, "steps", 100, {1, 1000}, "", "Steps of the optimiser.");
  Declare(recipe, "loss", "mae", {"mae", "mse"}, "What is minimised.");
  Declare(recipe, "corners", list, "Corners, in order.");
  Declare(recipe, "depth", 5, {0, 80}, "m", "How far.");
  SetParameter(recipe, "steps", 20);  // A variant's own default.

  ASSERT_EQ(recipe.described_size(), 4);
  std::string names;
  for (const v1::RecipeParameter& parameter : recipe.described()) names += parameter.name() + " ";
  EXPECT_EQ(names, "corners depth loss steps ");
  EXPECT_EQ(recipe.described(1).unit(), "m");
  EXPECT_EQ(recipe.described(1).maximum(), 80);
  EXPECT_EQ(recipe.described(3).description(), "Steps of the optimiser.");

  v1::Recipe asked;
  asked.set_name("r");
  const auto complete = CompleteRecipe(model, asked);
  ASSERT_TRUE(complete.ok()) << complete.status();
  EXPECT_EQ(complete->described_size(), 0) << "no part of a version";
  EXPECT_EQ(ParameterReader(*complete).Integer("steps"), 20);

  for (const double value : {0.0, 1000.5, -5.0, std::numeric_limits<double>::quiet_NaN()}) {
    SetParameter(asked, "steps", value);
    EXPECT_THAT(std::string(CompleteRecipe(model, asked).status().message()),
                HasSubstr("recipe.parameters.steps must be in [1, 1000]: got "))
        << value;
  }
  asked.clear_parameters();
  SetParameter(asked, "loss", "bogus");
  EXPECT_THAT(std::string(CompleteRecipe(model, asked).status().message()),
              HasSubstr("recipe.parameters.loss must be one of mae, mse: got \"bogus\""));
}

}  // namespace
}  // namespace backfire::runtime
