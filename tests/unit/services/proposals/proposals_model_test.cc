#include "services/proposals/proposals_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "services/proposals/centre_point.h"
#include "tests/support/model_test_kit.h"

namespace backfire::proposals {
namespace {

using runtime::Split;
using testing::RecordingJob;

metrics::Object Label(const std::string& type, metrics::Box2d box) {
  metrics::Object label;
  label.type = type;
  label.box_2d = box;
  return label;
}

// Maps that say exactly what the targets say.
CentrePointMaps Perfect(const CentrePointTargets& targets) {
  const torch::Tensor heat = targets.heat.clamp(1e-4, 1 - 1e-4);
  return {torch::log(heat / (1 - heat)).unsqueeze(0), targets.edges.unsqueeze(0)};
}

TEST(CentrePointTest, DecodingUndoesTheTargets) {
  const std::vector<metrics::Object> labels = {Label("Car", {20, 30, 90, 70}),
                                               Label("Pedestrian", {200, 20, 221, 80}),
                                               Label("Car", {300, 50, 330, 66})};
  const auto boxes = Decode(Perfect(MakeTargets(labels, 128, 384)), 128, 384, 0.5, 50);
  ASSERT_EQ(boxes.size(), 3u);
  for (const metrics::Object& label : labels) {
    const auto found = std::find_if(boxes.begin(), boxes.end(), [&](const ProposedBox& box) {
      return kClasses[box.class_index] == label.type &&
             std::abs(box.box.left - label.box_2d.left) < 0.01;
    });
    ASSERT_NE(found, boxes.end());
    EXPECT_NEAR(found->box.top, label.box_2d.top, 0.01);
    EXPECT_NEAR(found->box.right, label.box_2d.right, 0.01);
    EXPECT_NEAR(found->box.bottom, label.box_2d.bottom, 0.01);
  }
}

TEST(CentrePointTest, OtherTypesAreIgnoredAndTeachNothing) {
  const auto targets = MakeTargets({Label("DontCare", {16, 16, 31, 31})}, 64, 64);
  EXPECT_EQ(targets.ignored.sum().item<float>(), 16);
  EXPECT_EQ(targets.heat.sum().item<float>(), 0);
  EXPECT_EQ(targets.weight.sum().item<float>(), 0);
}

TEST(CentrePointTest, ABetterPredictionHasASmallerLoss) {
  const auto targets = MakeTargets({Label("Car", {20, 30, 90, 70})}, 128, 384);
  const CentrePointTargets batch = {targets.heat.unsqueeze(0), targets.ignored.unsqueeze(0),
                                    targets.edges.unsqueeze(0), targets.weight.unsqueeze(0)};
  const CentrePointMaps nothing = {torch::full({1, kClassCount, 32, 96}, -4.6f),
                                   torch::zeros({1, 4, 32, 96})};
  EXPECT_LT(CentrePointLoss(Perfect(targets), batch).item<double>(),
            0.2 * CentrePointLoss(nothing, batch).item<double>());
}

class ProposalsModelTest : public ::testing::Test {
 protected:
  std::string Weights(int64_t seed) {
    runtime::TrainingTask task;
    task.recipe = recipe_;
    task.seed = seed;
    task.dataset = &frames_.dataset();
    task.files.checkpoint = frames_.checkpoint_path();
    RecordingJob job;
    const auto weights = model_->Train(task, job);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return weights.value_or("");
  }
  const std::unique_ptr<runtime::Model> model_ = MakeProposalsModel({"cpu"});
  const testing::RenderedFrames frames_{3, 2};
  const v1::Recipe recipe_ = testing::RecipeOf(
      *model_, "centre-point", {{"steps", 3}, {"channels", 4}, {"batch", 2}, {"min_score", 0}});
};

TEST_F(ProposalsModelTest, TheSeedDecidesTheWeights) {
  const std::string weights = Weights(1);
  EXPECT_EQ(Weights(1), weights);
  EXPECT_NE(Weights(2), weights);
}

// What a test frame is proposed comes from its image and nothing else: a request has no labels.
TEST_F(ProposalsModelTest, AFrameWithoutLabelsGetsProposals) {
  const auto predictor = *model_->Load(recipe_, Weights(1));
  runtime::TensorMap inputs;
  inputs["left"] = frames_.Request(Split::kTest, 0)["left"];
  const auto outputs = predictor->Predict(inputs, [] { return false; });
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const runtime::Tensor& boxes = outputs->at("boxes_2d");
  ASSERT_GT(boxes.shape[0], 0);
  EXPECT_EQ(boxes.shape[1], 6);
  for (int64_t i = 0; i < boxes.shape[0]; ++i) {
    const float* row = boxes.As<float>() + 6 * i;
    EXPECT_LT(row[0], row[2]);
    EXPECT_LT(row[1], row[3]);
    EXPECT_GE(row[4], 0);
    EXPECT_LE(row[4], 1);
    if (i > 0) {
      EXPECT_LE(row[4], row[4 - 6]) << "surest first";
    }
  }
}

TEST_F(ProposalsModelTest, ProposalsAreJudgedByWhereTheyAre) {
  const auto loss = [&](float shift_px) {
    std::vector<runtime::TensorMap> outputs;
    for (int64_t i = 0; i < 2; ++i) {
      std::vector<float> rows;
      const std::vector<metrics::Object> labels = *frames_.dataset().Labels(Split::kTest, i);
      for (const metrics::Object& label : labels) {
        if (label.type != "Car" && label.type != "Pedestrian") continue;
        const float score = 0.9f - 0.01f * static_cast<float>(rows.size());
        for (const double value :
             {label.box_2d.left, label.box_2d.top, label.box_2d.right, label.box_2d.bottom}) {
          rows.push_back(static_cast<float>(value) + shift_px);
        }
        rows.push_back(score);
        rows.push_back(label.type == "Car" ? 0 : 1);
      }
      runtime::Tensor& boxes = outputs.emplace_back()["boxes_2d"];
      boxes =
          runtime::MakeTensor(runtime::Datatype::kFp32, {static_cast<int64_t>(rows.size()) / 6, 6});
      std::memcpy(boxes.data.data(), rows.data(), boxes.data.size());
    }
    RecordingJob job;
    const auto evaluation = *model_->Evaluate(frames_.dataset(), Split::kTest,
                                              testing::FixedExamples(outputs), {}, job);
    EXPECT_EQ(evaluation.losses(0).loss(), "ap_2d_car");
    EXPECT_EQ(evaluation.losses(1).loss(), "ap_2d_pedestrian");
    return evaluation.losses(0).value();
  };
  EXPECT_LT(loss(0), 0);
  EXPECT_EQ(loss(500), 0);
}

}  // namespace
}  // namespace backfire::proposals
