#include "services/pointcloud/pointcloud_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "services/pointcloud/back_projection.h"
#include "tests/support/model_test_kit.h"

namespace backfire::pointcloud {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

bool Never() { return false; }

// f = 100 px, centre (2, 1), baseline 0.5 m, left camera at the origin.
datasets::StereoCalibration Calibration() {
  datasets::StereoCalibration calibration;
  calibration.left = {100, 0, 2, 0, 0, 100, 1, 0, 0, 0, 1, 0};
  calibration.right = {100, 0, 2, -50, 0, 100, 1, 0, 0, 0, 1, 0};
  return calibration;
}

TEST(BackProjectionTest, MatchesAHandComputedPoint) {
  std::vector<float> disparity(3 * 5, 0.0f);
  disparity[2 * 5 + 4] = 5;  // Row 2, column 4: z = 100 * 0.5 / 5 = 10 m.
  const std::vector<float> points = BackProject(disparity.data(), 3, 5, Calibration(), {});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_FLOAT_EQ(points[0], 0.2f);  // (4 - 2) * 10 / 100.
  EXPECT_FLOAT_EQ(points[1], 0.1f);
  EXPECT_FLOAT_EQ(points[2], 10);
}

TEST(BackProjectionTest, DropsWhatIsTooFarOrTooHigh) {
  std::vector<float> disparity = {0.4f, 0.6f, 5, 5};
  BackProjectionOptions options;
  options.max_height_m = 0;  // Row 0 lies above the camera.
  EXPECT_TRUE(BackProject(disparity.data(), 1, 4, Calibration(), options).empty());
  options.max_height_m = 1;
  // 0.4 px is noise, 0.6 px is 83 m.
  EXPECT_EQ(BackProject(disparity.data(), 1, 4, Calibration(), options).size(), 6u);
}

TEST(PointCloudModelTest, TheTrueDisparityGivesTheTrueDepth) {
  const auto model = MakePointCloudModel();
  const testing::RenderedFrames frames(0, 2);
  const auto predictor = model->Load(testing::RecipeOf(*model, "pseudo-lidar", {}), std::string());
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  std::vector<runtime::TensorMap> outputs;
  for (int64_t i = 0; i < 2; ++i) {
    runtime::TensorMap inputs;
    const cv::Mat truth = *frames.dataset().Disparity(Split::kTest, i);
    inputs["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {truth.rows, truth.cols});
    std::memcpy(inputs["disparity"].data.data(), truth.data, inputs["disparity"].data.size());
    inputs["calibration"] = frames.Request(Split::kTest, i)["calibration"];
    const auto output = (*predictor)->Predict(inputs, Never);
    ASSERT_TRUE(output.ok()) << output.status();
    EXPECT_GT(output->at("points").shape[0], 10000);
    outputs.push_back(*output);
  }
  testing::RecordingJob job;
  const auto evaluation =
      model->Evaluate(frames.dataset(), Split::kTest, testing::FixedExamples(outputs), {}, job);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_LT(evaluation->losses(0).value(), 1e-3);
}

TEST(PointCloudModelTest, ADisparityThatIsNoNumberIsRefusedWithItsPlace) {
  const auto model = MakePointCloudModel();
  const auto predictor = *model->Load(testing::RecipeOf(*model, "pseudo-lidar", {}), std::string());
  runtime::TensorMap inputs;
  inputs["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {2, 3});
  inputs["disparity"].MutableAs<float>()[4] = std::numeric_limits<float>::quiet_NaN();
  inputs["calibration"] = datasets::ToTensor(Calibration());
  EXPECT_THAT(std::string(predictor->Predict(inputs, Never).status().message()),
              HasSubstr("(row 1, column 1)"));
  inputs["disparity"].MutableAs<float>()[4] = 1;
  inputs["calibration"].MutableAs<double>()[0] = std::nan("");
  const auto refused = predictor->Predict(inputs, Never);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("input \"calibration\""));
}

}  // namespace
}  // namespace backfire::pointcloud
