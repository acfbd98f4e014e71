#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "services/detection/detections_tensor.h"
#include "services/detection/detector_model.h"
#include "services/detection/detector_recipe.h"
#include "tests/support/detection_test_kit.h"
#include "tests/support/model_test_kit.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::TensorMap;
using ::testing::HasSubstr;
using testing::RecordingJob;

const auto Never = [] { return false; };

class PointRcnnRecipeTest : public ::testing::Test {
 protected:
  PointRcnnRecipeTest() {
    std::vector<TensorMap> inputs;
    for (int64_t i = 0; i < 3; ++i)
      inputs.push_back(
          testing::TrueDetectorInputs(frames_.dataset(), Split::kTrain, i, /*stride=*/2));
    train_inputs_ = std::make_unique<testing::FixedExamples>(inputs);
  }
  v1::Recipe Recipe(double first_steps, double second_steps) const {
    return testing::RecipeOf(*model_, "point-rcnn-small",
                             {{"proposal_steps", first_steps},
                              {"refinement_steps", second_steps},
                              {"batch", 2},
                              {"points", 512},
                              {"width", 0.1},
                              {"roi_points", 32},
                              {"train_rois", 8},
                              {"min_score", 0}});
  }
  absl::StatusOr<std::string> Train(const v1::Recipe& recipe, int64_t seed,
                                    int64_t cancel_at_step = -1) {
    runtime::TrainingTask task;
    task.recipe = recipe;
    task.seed = seed;
    task.dataset = &frames_.dataset();
    task.train_inputs = train_inputs_.get();
    task.files.checkpoint = frames_.checkpoint_path();
    RecordingJob job(cancel_at_step);
    auto weights = model_->Train(task, job);
    last_ = job.last();
    return weights;
  }
  void ForgetCheckpoints() {
    std::filesystem::remove(frames_.checkpoint_path());
    std::filesystem::remove(frames_.checkpoint_path() + ".refinement");
  }
  // Every number of the detections is one.
  static void ExpectFinite(const TensorMap& outputs) {
    const runtime::Tensor& detections = outputs.at("detections");
    for (int64_t i = 0; i < detections.ElementCount(); ++i) {
      ASSERT_TRUE(std::isfinite(detections.As<float>()[i]));
    }
  }

  const std::unique_ptr<runtime::Model> model_ = MakeDetectorModel(testing::CarConfig(), {"cpu"});
  const testing::RenderedFrames frames_{3, 1};
  std::unique_ptr<testing::FixedExamples> train_inputs_;
  v1::Progress last_;
};

TEST_F(PointRcnnRecipeTest, TheSeedDecidesTheWeights) {
  const v1::Recipe recipe = Recipe(2, 2);
  const auto weights = Train(recipe, 1);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(last_.step(), 4) << "both stages are one training";
  EXPECT_EQ(last_.total_steps(), 4);
  ForgetCheckpoints();
  EXPECT_EQ(*Train(recipe, 1), *weights);
  ForgetCheckpoints();
  EXPECT_NE(*Train(recipe, 2), *weights);
}

TEST_F(PointRcnnRecipeTest, ATrainingGoesOnFromEitherStage) {
  // A checkpoint is kept every 100 steps.
  const v1::Recipe recipe = Recipe(110, 110);
  const auto undisturbed = Train(recipe, 1);
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  ForgetCheckpoints();
  for (const int64_t step : {105, 215}) {
    EXPECT_TRUE(absl::IsCancelled(Train(recipe, 1, step).status())) << step;
  }
  EXPECT_EQ(*Train(recipe, 1), *undisturbed);
}

TEST_F(PointRcnnRecipeTest, LearnsTheFramesThatItIsShown) {
  const v1::Recipe recipe = testing::RecipeOf(*model_, "point-rcnn-small",
                                              {{"proposal_steps", 150},
                                               {"refinement_steps", 60},
                                               {"batch", 2},
                                               {"points", 1024},
                                               {"width", 0.15},
                                               {"roi_points", 64},
                                               {"train_rois", 16}});
  const auto weights = Train(recipe, 1);
  ASSERT_TRUE(weights.ok()) << weights.status();
  const auto predictor = *model_->Load(recipe, *weights);
  int64_t found = 0, cars = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const auto outputs = predictor->Predict(*train_inputs_->Get(i), Never);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ExpectFinite(*outputs);
    const auto detections = *DetectionsFromTensor(outputs->at("detections"), "Car");
    const std::vector<metrics::Object> labels = *frames_.dataset().Labels(Split::kTrain, i);
    for (const metrics::Object& label : labels) {
      if (label.type != "Car" || label.box_3d.z > 25) continue;
      ++cars;
      for (const metrics::Object& detection : detections) {
        const double off =
            std::hypot(label.box_3d.x - detection.box_3d.x, label.box_3d.z - detection.box_3d.z);
        if (off > 1.5) continue;
        ++found;
        break;
      }
    }
  }
  ASSERT_GT(cars, 0);
  EXPECT_GE(2 * found, cars) << found << " of " << cars << " cars have a detection within 1.5 m";
}

TEST_F(PointRcnnRecipeTest, BadCloudsGiveNoDetectionsOrAClearError) {
  const v1::Recipe recipe = Recipe(2, 2);
  const auto predictor = *model_->Load(recipe, *Train(recipe, 1));
  TensorMap inputs = *train_inputs_->Get(0);
  // Fewer points than the network samples; as many times the same one.
  for (const int64_t count : {1, 2, 40}) {
    TensorMap few = inputs;
    few["points"] = runtime::MakeTensor(runtime::Datatype::kFp32, {count, 3});
    for (int64_t i = 0; i < count; ++i) few["points"].MutableAs<float>()[3 * i + 2] = 9;
    const auto outputs = predictor->Predict(few, Never);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ExpectFinite(*outputs);
  }
  TensorMap empty = inputs, away = inputs;
  empty["points"] = runtime::MakeTensor(runtime::Datatype::kFp32, {0, 3});
  for (int64_t i = 0; i < away["points"].shape[0]; ++i) {
    away["points"].MutableAs<float>()[3 * i + 2] = 500;
  }
  for (const TensorMap& nothing : {empty, away}) {
    const auto outputs = predictor->Predict(nothing, Never);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ(outputs->at("detections").shape, (std::vector<int64_t>{0, kDetectionColumns}));
  }
  inputs["points"].MutableAs<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  const auto refused = predictor->Predict(inputs, Never);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("\"points\""));
}

TEST_F(PointRcnnRecipeTest, ParametersAreChecked) {
  v1::Recipe recipe;
  recipe.set_name("point-rcnn");
  const auto complete = model_->ResolveRecipe(recipe);
  ASSERT_TRUE(complete.ok()) << complete.status();
  EXPECT_EQ(complete->parameters().fields().at("points").number_value(), 16384);
  runtime::SetParameter(recipe, "sampling", std::string("spherical"));
  EXPECT_THAT(std::string(model_->ResolveRecipe(recipe).status().message()),
              HasSubstr("sampling must be one of random, angular: got \"spherical\""));
  runtime::SetParameter(recipe, "sampling", std::string("angular"));
  runtime::SetParameter(recipe, "points", 100);
  EXPECT_THAT(std::string(model_->ResolveRecipe(recipe).status().message()), HasSubstr("points"));
}

TEST_F(PointRcnnRecipeTest, ATrainingSetWithoutObjectsIsRefused) {
  v1::Recipe recipe = Recipe(2, 2);
  runtime::SetParameter(recipe, "train_max_depth_m", 1);
  const auto refused = Train(recipe, 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("no object of type Car"));
}

}  // namespace
}  // namespace backfire::detection
