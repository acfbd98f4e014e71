#include "orchestrator/cli/recipe_argument.h"

#include <gtest/gtest.h>

namespace backfire::cli {
namespace {

TEST(MakeRecipeTest, ReadsNumbersTruthValuesAndText) {
  const auto recipe = MakeRecipe("r", {"steps=10", "rate=-1e-3", "flip=true", "mode=fast",
                                       "empty=", "expression=a=b", "limit=infinity"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->name(), "r");
  const auto& fields = recipe->parameters().fields();
  EXPECT_EQ(fields.at("steps").number_value(), 10);
  EXPECT_EQ(fields.at("rate").number_value(), -1e-3);
  EXPECT_TRUE(fields.at("flip").bool_value());
  EXPECT_EQ(fields.at("mode").string_value(), "fast");
  EXPECT_EQ(fields.at("empty").string_value(), "");
  EXPECT_EQ(fields.at("expression").string_value(), "a=b");
  EXPECT_EQ(fields.at("limit").string_value(), "infinity");
}

TEST(MakeRecipeTest, ReadsListsAndMapsAsYaml) {
  const auto recipe =
      MakeRecipe("r", {"field=[{bend: -0.1}, [1, x]]", "text=\"12\"", "map={a: 1}"});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  const auto& fields = recipe->parameters().fields();
  const auto& field = fields.at("field").list_value();
  EXPECT_EQ(field.values(0).struct_value().fields().at("bend").number_value(), -0.1);
  EXPECT_EQ(field.values(1).list_value().values(1).string_value(), "x");
  EXPECT_EQ(fields.at("text").string_value(), "12");
  EXPECT_EQ(fields.at("map").struct_value().fields().at("a").number_value(), 1);
  const auto fault = MakeRecipe("r", {"field=[1, "});
  EXPECT_TRUE(absl::IsInvalidArgument(fault.status())) << fault.status();
  EXPECT_NE(fault.status().message().find("--set field"), std::string::npos) << fault.status();
}

TEST(MakeRecipeTest, RefusesWhatIsNoAssignment) {
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRecipe("r", {"steps"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRecipe("r", {"=1"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRecipe("r", {"a=1", "a=2"}).status()));
}

TEST(ProposalIdTest, DependsOnWhatIsProposedAndNothingElse) {
  const auto recipe = MakeRecipe("r", {"a=1", "b=2"});
  const auto same = MakeRecipe("r", {"b=2", "a=1"});
  const auto other = MakeRecipe("r", {"a=1", "b=3"});
  const std::string id = ProposalId("v", *recipe, 1, 1, "releases/1", 0);
  EXPECT_EQ(ProposalId("v", *same, 1, 1, "releases/1", 0), id);
  EXPECT_NE(ProposalId("v", *other, 1, 1, "releases/1", 0), id);
  EXPECT_NE(ProposalId("w", *recipe, 1, 1, "releases/1", 0), id);
  EXPECT_NE(ProposalId("v", *recipe, 2, 1, "releases/1", 0), id);
  EXPECT_NE(ProposalId("v", *recipe, 1, 1, "releases/2", 0), id);
  EXPECT_NE(ProposalId("v", *recipe, 1, 1, "releases/1", 1), id);
  EXPECT_NE(ProposalId("v", *recipe, 1, 2, "releases/1", 0), id);
}

}  // namespace
}  // namespace backfire::cli
