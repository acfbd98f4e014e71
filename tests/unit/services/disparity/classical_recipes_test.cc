#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "services/disparity/recipe_family.h"
#include "services/runtime/recipe.h"
#include "tests/support/model_test_kit.h"

namespace backfire::disparity {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

v1::Recipe Sgbm(const std::string& name = "", double value = 0) {
  v1::Recipe recipe = MakeSgbmRecipe()->Recipes().at(0);
  if (!name.empty()) runtime::SetParameter(recipe, name, value);
  return recipe;
}

TEST(SgbmRecipeTest, PredictsAMapOfTheImagesSizeWithoutHoles) {
  const testing::RenderedFrames frames(0, 1);
  const auto predictor = MakeSgbmRecipe()->Load(Sgbm(), "");
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const runtime::TensorMap inputs = frames.Request(Split::kTest, 0);
  const auto outputs = (*predictor)->Predict(inputs, [] { return false; });
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const runtime::Tensor& disparity = outputs->at("disparity");
  EXPECT_EQ(disparity.shape[0], inputs.at("left").shape[0]);
  EXPECT_EQ(disparity.shape[1], inputs.at("left").shape[1]);
  for (int64_t i = 0; i < disparity.ElementCount(); ++i) {
    ASSERT_GT(disparity.As<float>()[i], 0) << i;
  }
  EXPECT_EQ((*predictor)->Predict(inputs, [] { return true; }).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(SgbmRecipeTest, RefusesWhatMakesNoSense) {
  const auto family = MakeSgbmRecipe();
  EXPECT_TRUE(family->Check(Sgbm()).ok());
  EXPECT_FALSE(family->DependsOnSeed());
  const std::vector<std::tuple<std::string, double, std::string>> cases = {
      {"max_disparity", 50, "multiple of 16"},
      {"block_size", 4, "odd"},
      {"paths", 6, "5 or 8"},
      {"large_penalty", 8, "above small_penalty"},
      {"block_size", 2.5, "whole number"}};
  for (const auto& [name, value, expected] : cases) {
    const absl::Status status = family->Check(Sgbm(name, value));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("recipe.parameters." + name));
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected));
  }
  // Ranges are held where a recipe arrives.
  v1::Model model;
  *model.add_recipes() = family->Recipes().at(0);
  const auto out_of_range = runtime::CompleteRecipe(model, Sgbm("uniqueness_percent", 101));
  EXPECT_EQ(out_of_range.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(out_of_range.status().message()),
              HasSubstr("recipe.parameters.uniqueness_percent must be"));
  EXPECT_EQ(family->Load(Sgbm(), "weights").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(family->UntrainedWeights(Sgbm()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// By hand: block^2 * 3 * (2 * cap + 63 + large_penalty) must fit into 32767.
TEST(SgbmRecipeTest, RefusesWhatCanOverflowTheCosts) {
  const auto check = [](double block, double penalty, double cap) {
    v1::Recipe recipe = Sgbm("block_size", block);
    runtime::SetParameter(recipe, "large_penalty", penalty);
    runtime::SetParameter(recipe, "filter_cap", cap);
    const absl::Status status = MakeSgbmRecipe()->Check(recipe);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  for (const auto& [block, penalty, cap] : std::vector<std::array<double, 3>>{
           {1, 1000, 63}, {3, 1000, 63}, {5, 96, 63}, {5, 247.8, 63}, {7, 32, 63}, {9, 32, 15}}) {
    EXPECT_EQ(check(block, penalty, cap), "") << block;
  }
  EXPECT_THAT(check(5, 248, 63),
              HasSubstr("large_penalty must be at most 247.8 with block_size 5"));
  EXPECT_THAT(check(7, 96, 63), HasSubstr("large_penalty must be at most 33.9 with block_size 7"));
  // OpenCV takes these for 15.
  for (const double cap : {1.0, 14.0, 15.0}) {
    EXPECT_THAT(check(9, 96, cap), HasSubstr("large_penalty must be at most 41.8"));
  }
  // And an even one for the next.
  EXPECT_THAT(check(7, 96, 62), HasSubstr("at most 33.9 with block_size 7 and filter_cap 62"));
  EXPECT_THAT(check(9, 32, 63), HasSubstr("block_size 9 is too large"));
  EXPECT_THAT(check(21, 32, 1), HasSubstr("block_size 21 is too large"));
}

TEST(SgbmRecipeTest, RefusesImagesOfDifferentOrTinySize) {
  const auto predictor = *MakeSgbmRecipe()->Load(Sgbm(), "");
  runtime::TensorMap inputs;
  inputs["left"] = runtime::MakeTensor(runtime::Datatype::kUint8, {64, 64, 3});
  inputs["right"] = runtime::MakeTensor(runtime::Datatype::kUint8, {64, 60, 3});
  EXPECT_THAT(std::string(predictor->Predict(inputs, [] { return false; }).status().message()),
              HasSubstr("one size"));
  inputs["left"] = inputs["right"] = runtime::MakeTensor(runtime::Datatype::kUint8, {8, 64, 3});
  EXPECT_THAT(std::string(predictor->Predict(inputs, [] { return false; }).status().message()),
              HasSubstr("at least 16 x 16"));
}

TEST(OracleRecipeTest, IsTheGroundTruthAndCannotBeServed) {
  const testing::RenderedFrames frames(0, 1);
  const auto family = MakeOracleRecipe();
  const v1::Recipe recipe = family->Recipes().at(0);
  EXPECT_TRUE(recipe.unservable());
  EXPECT_FALSE(family->DependsOnSeed());
  const auto outputs = family->PredictFromDataset(recipe, "", frames.dataset(), Split::kTest, 0);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const cv::Mat truth = *frames.dataset().Disparity(Split::kTest, 0);
  const runtime::Tensor& disparity = outputs->at("disparity");
  ASSERT_EQ(disparity.ElementCount(), static_cast<int64_t>(truth.total()));
  for (int y = 0; y < truth.rows; ++y) {
    for (int x = 0; x < truth.cols; ++x) {
      ASSERT_EQ(disparity.As<float>()[y * truth.cols + x], truth.at<float>(y, x));
    }
  }
  const auto loaded = family->Load(recipe, "");
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("can't be served"));
}

}  // namespace
}  // namespace backfire::disparity
