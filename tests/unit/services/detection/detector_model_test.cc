#include "services/detection/detector_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "services/datasets/calibration.h"
#include "services/detection/detections_tensor.h"
#include "services/detection/frustum_pointnet.h"
#include "tests/support/model_test_kit.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::TensorMap;
using ::testing::HasSubstr;
using testing::RecordingJob;

bool Never() { return false; }

// The truth as parents would give it: points from the true disparity, boxes from the labels.
TensorMap TrueInputs(const datasets::StereoDataset& dataset, Split split, int64_t example) {
  const auto calibration = *dataset.Calibration(split, example);
  const cv::Mat disparity = *dataset.Disparity(split, example);
  std::vector<float> points;
  for (int v = 0; v < disparity.rows; ++v) {
    for (int u = 0; u < disparity.cols; ++u) {
      const double z =
          calibration.focal_length_px() * calibration.baseline_m() / disparity.at<float>(v, u);
      if (!(z < 60)) continue;
      points.push_back(
          static_cast<float>((u - calibration.centre_x_px()) * z / calibration.left[0] +
                             calibration.left_offset_x_m()));
      points.push_back(
          static_cast<float>((v - calibration.centre_y_px()) * z / calibration.left[5] +
                             calibration.left_offset_y_m()));
      points.push_back(static_cast<float>(z));
    }
  }
  std::vector<float> boxes;
  const std::vector<metrics::Object> labels = *dataset.Labels(split, example);
  for (const metrics::Object& label : labels) {
    if (label.type != "Car") continue;
    for (const double value :
         {label.box_2d.left, label.box_2d.top, label.box_2d.right, label.box_2d.bottom, 0.9, 0.0}) {
      boxes.push_back(static_cast<float>(value));
    }
  }
  const auto to_tensor = [](const std::vector<float>& values, int64_t columns) {
    runtime::Tensor tensor = runtime::MakeTensor(
        runtime::Datatype::kFp32, {static_cast<int64_t>(values.size()) / columns, columns});
    if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    return tensor;
  };
  TensorMap inputs;
  inputs["points"] = to_tensor(points, 3);
  inputs["boxes_2d"] = to_tensor(boxes, 6);
  inputs["calibration"] = datasets::ToTensor(calibration);
  return inputs;
}

DetectorConfig CarConfig() {
  DetectorConfig config;
  config.model = "car";
  config.type = "Car";
  config.mean_size = {1.53f, 1.63f, 3.88f};
  return config;
}

class DetectorModelTest : public ::testing::Test {
 protected:
  DetectorModelTest() {
    std::vector<TensorMap> inputs;
    for (int64_t i = 0; i < 6; ++i) {
      inputs.push_back(TrueInputs(frames_.dataset(), Split::kTrain, i));
    }
    train_inputs_ = std::make_unique<testing::FixedExamples>(inputs);
  }
  v1::Recipe Recipe(double steps) {
    return testing::RecipeOf(*model_, "frustum-pointnet",
                             {{"steps", steps}, {"batch", 8}, {"points", 64}});
  }
  std::string Weights(double steps, int64_t seed) {
    runtime::TrainingTask task;
    task.recipe = Recipe(steps);
    task.seed = seed;
    task.dataset = &frames_.dataset();
    task.train_inputs = train_inputs_.get();
    task.checkpoint_path = frames_.checkpoint_path();
    std::filesystem::remove(frames_.checkpoint_path());
    RecordingJob job;
    const auto weights = model_->Train(task, job);
    EXPECT_TRUE(weights.ok()) << weights.status();
    last_loss_ = job.last().loss();
    return weights.value_or("");
  }

  const std::unique_ptr<runtime::Model> model_ = MakeDetectorModel(CarConfig(), {"cpu"});
  const testing::RenderedFrames frames_{6, 1};
  std::unique_ptr<testing::FixedExamples> train_inputs_;
  double last_loss_ = 0;
};

TEST_F(DetectorModelTest, TheSeedDecidesTheWeights) {
  const std::string weights = Weights(3, 1);
  EXPECT_EQ(Weights(3, 1), weights);
  EXPECT_NE(Weights(3, 2), weights);
}

TEST_F(DetectorModelTest, LearnsTheFramesThatItIsShown) {
  Weights(5, 1);
  const double first = last_loss_;
  const std::string weights = Weights(150, 1);
  EXPECT_LT(last_loss_, 0.6 * first);
  const auto predictor = *model_->Load(Recipe(150), weights);
  const auto outputs = predictor->Predict(*train_inputs_->Get(0), Never);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const auto detections = *DetectionsFromTensor(outputs->at("detections"), "Car");
  ASSERT_FALSE(detections.empty());
  const std::vector<metrics::Object> labels = *frames_.dataset().Labels(Split::kTrain, 0);
  // Each is near the label whose box it was found in.
  for (const metrics::Object& detection : detections) {
    double nearest = std::numeric_limits<double>::infinity();
    for (const metrics::Object& label : labels) {
      nearest = std::min(nearest, std::hypot(label.box_3d.x - detection.box_3d.x,
                                             label.box_3d.z - detection.box_3d.z));
    }
    EXPECT_LT(nearest, 4) << "metres";
  }
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
  // Three metres off, nothing overlaps enough.
  const v1::Evaluation off = losses(3);
  EXPECT_EQ(off.losses(0).value(), 0);
  EXPECT_EQ(off.losses(1).value(), 0);
}

TEST(FrustumPointNetTest, AnExactPredictionHasAlmostNoLoss) {
  FrustumPointNet network(std::array<float, 3>{1.5f, 1.6f, 3.9f});
  FrustumTruth truth;
  truth.mask = torch::tensor({{int64_t{1}, int64_t{0}}});
  truth.centre = torch::tensor({{0.1f, 0.2f, 0.3f}});
  truth.size = torch::tensor({{1.4f, 1.7f, 4.2f}});
  truth.heading = torch::tensor({-2.0f});
  const double bin_width = 2 * M_PI / kHeadingBins;
  const double heading = 2 * M_PI - 2.0;
  const auto bin = static_cast<int64_t>(std::lround(heading / bin_width)) % kHeadingBins;
  FrustumPrediction prediction;
  prediction.mask_logits = torch::tensor({{{-9.f, 9.f}, {9.f, -9.f}}});
  prediction.first_centre = prediction.centre = truth.centre;
  prediction.heading_logits = torch::zeros({1, kHeadingBins});
  prediction.heading_logits[0][bin] = 20;
  prediction.heading_residuals = torch::zeros({1, kHeadingBins});
  prediction.heading_residuals[0][bin] = heading - static_cast<double>(bin) * bin_width;
  prediction.size_residual = (truth.size / torch::tensor({1.5f, 1.6f, 3.9f})).log();
  EXPECT_LT(network->Loss(prediction, truth).item<double>(), 1e-3);
  EXPECT_NEAR(std::remainder(network->Heading(prediction).item<double>() + 2.0, 2 * M_PI), 0, 1e-5);
  prediction.centre = truth.centre + 1;
  EXPECT_GT(network->Loss(prediction, truth).item<double>(), 1);
}

}  // namespace
}  // namespace backfire::detection
