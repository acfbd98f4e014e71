#include "services/detection/detector_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "services/datasets/calibration.h"
#include "services/detection/detections_tensor.h"
#include "tests/support/detection_test_kit.h"
#include "tests/support/model_test_kit.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::TensorMap;
using ::testing::HasSubstr;
using testing::RecordingJob;

bool Never() { return false; }

class DetectorModelTest : public ::testing::Test {
 protected:
  DetectorModelTest() {
    std::vector<TensorMap> inputs;
    for (int64_t i = 0; i < 6; ++i) {
      inputs.push_back(testing::TrueDetectorInputs(frames_.dataset(), Split::kTrain, i));
    }
    train_inputs_ = std::make_unique<testing::FixedExamples>(inputs);
  }
  static const testing::RenderedFrames& SharedFrames() {
    static const testing::RenderedFrames frames(6, 1);
    return frames;
  }
  v1::Recipe Recipe(double steps) {
    v1::Recipe recipe = testing::RecipeOf(*model_, "frustum-pointnet",
                                          {{"steps", steps},
                                           {"batch", 8},
                                           {"points", 64},
                                           {"object_points", 32},
                                           {"width", 0.125},
                                           {"dropout", 0},
                                           {"learning_rate", 4e-3},
                                           {"min_box_height_px", 0}});
    runtime::SetParameter(recipe, "depth", std::string("relative"));
    return recipe;
  }
  std::string Weights(double steps, int64_t seed) {
    runtime::TrainingTask task;
    task.recipe = Recipe(steps);
    task.seed = seed;
    task.dataset = &frames_.dataset();
    task.train_inputs = train_inputs_.get();
    task.files.checkpoint = frames_.checkpoint_path();
    std::filesystem::remove(frames_.checkpoint_path());
    RecordingJob job;
    const auto weights = model_->Train(task, job);
    EXPECT_TRUE(weights.ok()) << weights.status();
    last_loss_ = job.last().loss();
    return weights.value_or("");
  }

  const std::unique_ptr<runtime::Model> model_ = MakeDetectorModel(testing::CarConfig(), {"cpu"});
  const testing::RenderedFrames& frames_ = SharedFrames();
  std::unique_ptr<testing::FixedExamples> train_inputs_;
  double last_loss_ = 0;
};

TEST_F(DetectorModelTest, TheSeedDecidesTheWeights) {
  const std::string weights = Weights(3, 1);
  EXPECT_EQ(Weights(3, 1), weights);
  EXPECT_NE(Weights(3, 2), weights);
}

TEST_F(DetectorModelTest, WhatIsExportedIsImportedToTheSameWeights) {
  const std::string weights = Weights(1, 1);
  const auto file = model_->ExportWeights(Recipe(1), weights);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(model_->ImportWeights(Recipe(1), *file).value_or("?"), weights);
  v1::Recipe wider = Recipe(1);
  runtime::SetParameter(wider, "width", 0.25);
  const auto refused = model_->ImportWeights(wider, *file);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("misshapen"));
  EXPECT_EQ(model_->ImportWeights(Recipe(1), "2.5").status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Dropout and the draw of object points included.
TEST_F(DetectorModelTest, ABrokenTrainingGoesOnToTheSameBits) {
  runtime::TrainingTask task;
  task.recipe = Recipe(104);
  runtime::SetParameter(task.recipe, "dropout", 0.5);
  runtime::SetParameter(task.recipe, "points", 16);
  task.seed = 3;
  task.dataset = &frames_.dataset();
  task.train_inputs = train_inputs_.get();
  task.files.checkpoint = frames_.checkpoint_path();
  RecordingJob job;
  const auto unbroken = model_->Train(task, job);
  ASSERT_TRUE(unbroken.ok()) << unbroken.status();
  std::filesystem::remove(task.files.checkpoint);
  RecordingJob broken(102);
  EXPECT_TRUE(absl::IsCancelled(model_->Train(task, broken).status()));
  ASSERT_TRUE(std::filesystem::exists(task.files.checkpoint));
  EXPECT_EQ(*model_->Train(task, job), *unbroken);
}

// How far a short training gets differs by processor, so it is held against its own beginning, and
// where its detections are against where those of another frame are. A training that changes no
// weight, or sees another frame's points, stays above 0.9 of its beginning; detections made from
// another frame's points are no nearer to the right labels than to the wrong ones.
TEST_F(DetectorModelTest, LearnsTheFramesThatItIsShown) {
  Weights(5, 1);
  const double first_loss = last_loss_;
  const std::string weights = Weights(400, 1);
  EXPECT_LT(last_loss_, 0.65 * first_loss);
  const auto predictor = *model_->Load(Recipe(400), weights);
  const int64_t frames = train_inputs_->size();
  // Mean distance from the detections of every frame to the nearest label of the one `later`,
  // metres.
  const auto mean_distance = [&](int64_t later) {
    double sum = 0, count = 0;
    for (int64_t i = 0; i < frames; ++i) {
      const auto outputs = predictor->Predict(*train_inputs_->Get(i), Never);
      EXPECT_TRUE(outputs.ok()) << outputs.status();
      const std::vector<metrics::Object> labels =
          *frames_.dataset().Labels(Split::kTrain, (i + later) % frames);
      const auto detections = DetectionsFromTensor(outputs->at("detections"), "Car");
      for (const metrics::Object& detection : *detections) {
        double nearest = std::numeric_limits<double>::infinity();
        for (const metrics::Object& label : labels) {
          nearest = std::min(nearest, std::hypot(label.box_3d.x - detection.box_3d.x,
                                                 label.box_3d.z - detection.box_3d.z));
        }
        sum += nearest;
        ++count;
      }
    }
    EXPECT_GT(count, 0);
    return sum / count;
  };
  EXPECT_LT(mean_distance(0), 0.5 * mean_distance(1));
}

TEST_F(DetectorModelTest, NothingInGivesNothingOut) {
  const auto predictor = *model_->Load(Recipe(3), Weights(3, 1));
  TensorMap inputs = *train_inputs_->Get(0);
  TensorMap without_points = inputs, without_boxes = inputs;
  without_points["points"] = runtime::MakeTensor(runtime::Datatype::kFp32, {0, 3});
  without_boxes["boxes_2d"] = runtime::MakeTensor(runtime::Datatype::kFp32, {0, 6});
  for (const TensorMap& empty : {without_points, without_boxes}) {
    const auto outputs = predictor->Predict(empty, Never);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ(outputs->at("detections").shape, (std::vector<int64_t>{0, 12}));
  }
}

TEST_F(DetectorModelTest, AProposalWithoutPointsGivesNothing) {
  const auto predictor = *model_->Load(Recipe(3), Weights(3, 1));
  TensorMap inputs = *train_inputs_->Get(0);
  const int64_t boxes = inputs["boxes_2d"].shape[0];
  ASSERT_GT(boxes, 0);
  const auto all = predictor->Predict(inputs, Never);
  ASSERT_TRUE(all.ok()) << all.status();
  // The first box now lies beside the image, where nothing projects to.
  float* box = inputs["boxes_2d"].MutableAs<float>();
  box[0] = box[2] = -50;
  const auto fewer = predictor->Predict(inputs, Never);
  ASSERT_TRUE(fewer.ok()) << fewer.status();
  EXPECT_EQ(fewer->at("detections").shape[0], all->at("detections").shape[0] - 1);
}

TEST_F(DetectorModelTest, TheSameCloudGivesTheSameDetections) {
  const auto predictor = *model_->Load(Recipe(3), Weights(3, 1));
  const auto first = predictor->Predict(*train_inputs_->Get(0), Never);
  const auto second = predictor->Predict(*train_inputs_->Get(0), Never);
  EXPECT_EQ(first->at("detections").data, second->at("detections").data);
}

TEST_F(DetectorModelTest, PointsMayHaveAFourthColumn) {
  const auto predictor = *model_->Load(Recipe(3), Weights(3, 1));
  TensorMap inputs = *train_inputs_->Get(0);
  const runtime::Tensor bare = inputs["points"];
  const auto with = [&](float intensity) {
    runtime::Tensor points = runtime::MakeTensor(runtime::Datatype::kFp32, {bare.shape[0], 4});
    for (int64_t i = 0; i < bare.shape[0]; ++i) {
      std::memcpy(points.MutableAs<float>() + 4 * i, bare.As<float>() + 3 * i, 3 * sizeof(float));
      points.MutableAs<float>()[4 * i + 3] = intensity;
    }
    inputs["points"] = points;
    return predictor->Predict(inputs, Never)->at("detections").data;
  };
  inputs["points"] = bare;
  const std::string expected = predictor->Predict(inputs, Never)->at("detections").data;
  EXPECT_EQ(with(1), expected) << "a cloud without intensity has 1";
  inputs["points"] = runtime::MakeTensor(runtime::Datatype::kFp32, {2, 5});
  EXPECT_THAT(std::string(predictor->Predict(inputs, Never).status().message()),
              HasSubstr("\"points\" must be FP32 [N, 3 or 4]: got FP32 [2, 5]"));
}

TEST_F(DetectorModelTest, TrainingNeedsNoProposals) {
  EXPECT_THAT(model_->TrainingInputs(Recipe(1)), ::testing::ElementsAre("points"));
}

TEST_F(DetectorModelTest, ParametersOutOfRangeAreRefused) {
  const auto message = [&](const std::string& name, auto value) {
    v1::Recipe recipe;
    recipe.set_name("frustum-pointnet");
    runtime::SetParameter(recipe, name, value);
    return std::string(model_->ResolveRecipe(recipe).status().message());
  };
  EXPECT_THAT(message("width", 0.0), HasSubstr("recipe.parameters.width must be"));
  EXPECT_THAT(message("train_fraction", 2.0), HasSubstr("recipe.parameters.train_fraction must"));
  EXPECT_THAT(message("depth", std::string("deep")),
              HasSubstr("recipe.parameters.depth must be one of absolute, relative: got \"deep\""));
}

TEST_F(DetectorModelTest, APointThatIsNoNumberIsRefused) {
  const auto predictor = *model_->Load(Recipe(3), Weights(3, 1));
  TensorMap inputs = *train_inputs_->Get(0);
  inputs["points"].MutableAs<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  const auto refused = predictor->Predict(inputs, Never);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("\"points\": element 7"));
}

TEST_F(DetectorModelTest, DetectionsAreJudgedByWhereTheyAre) {
  const auto losses = [&](double shift_m) {
    std::vector<TensorMap> outputs(1);
    std::vector<metrics::Object> cars;
    const std::vector<metrics::Object> labels = *frames_.dataset().Labels(Split::kTest, 0);
    for (metrics::Object label : labels) {
      if (label.type != "Car") continue;
      label.box_3d.z += shift_m;
      label.score = 0.9 - 0.1 * static_cast<double>(cars.size());
      cars.push_back(label);
    }
    outputs[0]["detections"] = DetectionsToTensor(cars);
    RecordingJob job;
    return *model_->Evaluate(frames_.dataset(), Split::kTest, testing::FixedExamples(outputs), {},
                             job);
  };
  const v1::Evaluation exact = losses(0);
  EXPECT_EQ(exact.losses(0).loss(), "ap_3d");
  EXPECT_EQ(exact.losses(1).loss(), "ap_bev");
  EXPECT_LT(exact.losses(0).value(), 0);
  EXPECT_LT(exact.losses(1).value(), 0);
  // Beside them, not judged: by 11 recall points, and by depth.
  ASSERT_EQ(exact.losses_size(), 10);
  for (int i = 0; i < exact.losses_size(); ++i) {
    EXPECT_EQ(exact.losses(i).judged(), i < 2) << i;
    EXPECT_EQ(exact.losses(i).slice().empty(), i < 2) << i;
  }
  EXPECT_EQ(exact.losses(2).loss(), "ap_3d");
  EXPECT_EQ(exact.losses(2).slice(), "recall_11");
  EXPECT_LT(exact.losses(2).value(), 0);
  EXPECT_EQ(exact.losses(3).loss(), "ap_bev");
  EXPECT_EQ(exact.losses(3).slice(), "recall_11");
  EXPECT_EQ(exact.losses(4).slice(), "depth_0_20_m");
  // Three metres off, nothing overlaps enough.
  const v1::Evaluation off = losses(3);
  EXPECT_EQ(off.losses(0).value(), 0);
  EXPECT_EQ(off.losses(1).value(), 0);
}

}  // namespace
}  // namespace backfire::detection
