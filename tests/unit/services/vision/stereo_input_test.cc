#include "services/vision/stereo_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "services/base/file.h"
#include "services/datasets/image_file.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::vision {
namespace {

using ::testing::HasSubstr;

// A pair with a marker: white at columns [u, u + 8), rows [v, v + 8).
StereoInput Pair(int width, int height, double centre_y, int u = 0, int v = 0) {
  StereoInput input;
  input.left = cv::Mat(height, width, CV_8UC3, cv::Scalar(40, 40, 40));
  if (u > 0) input.left(cv::Rect(u, v, 8, 8)).setTo(cv::Scalar(255, 255, 255));
  input.right = input.left.clone();
  input.calibration.left = {720, 0, width / 2.0, 45, 0, 720, centre_y, 0, 0, 0, 1, 0};
  input.calibration.right = {720, 0, width / 2.0, -340, 0, 720, centre_y, 0, 0, 0, 1, 0};
  return input;
}

cv::Point2d Project(const datasets::Projection& p, double x, double y, double z) {
  const double w = p[10] * z + p[11];
  return {(p[0] * x + p[2] * z + p[3]) / w, (p[5] * y + p[6] * z + p[7]) / w};
}

TEST(FitStereoInputTest, RightSizeIsLeftAsItIs) {
  const StereoInput input = Pair(384, 128, 57.6, 100, 50);
  const auto fitted = FitStereoInput(input, {384, 128});
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_EQ(cv::norm(fitted->input.left, input.left, cv::NORM_INF), 0);
  EXPECT_EQ(fitted->placement.crop_top, 0);
  EXPECT_EQ(fitted->input.calibration.left, input.calibration.left);
}

class FitTest : public ::testing::TestWithParam<std::tuple<int, int, double>> {};

// Whatever is done to the image is done to the calibration, and undone for boxes.
TEST_P(FitTest, ImageCalibrationAndBoxesAgree) {
  const auto [width, height, centre_y] = GetParam();
  const int u = width / 2, v = static_cast<int>(centre_y);
  const StereoInput input = Pair(width, height, centre_y, u, v);
  const auto fitted = FitStereoInput(input, {384, 128});
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  ASSERT_EQ(fitted->input.left.size(), cv::Size(384, 128));
  ASSERT_EQ(fitted->input.right.size(), cv::Size(384, 128));
  // The marker's centre of mass, against where the geometry says it went.
  double mass = 0, sum_x = 0, sum_y = 0;
  for (int y = 0; y < 128; ++y) {
    for (int x = 0; x < 384; ++x) {
      const double weight = fitted->input.left.at<cv::Vec3b>(y, x)[0] - 40;
      mass += weight, sum_x += weight * x, sum_y += weight * y;
    }
  }
  ASSERT_GT(mass, 0) << "the horizon was cropped away";
  const Placement& placement = fitted->placement;
  const metrics::Box2d marker =
      ToOriginal({sum_x / mass, sum_y / mass, sum_x / mass, sum_y / mass}, placement);
  EXPECT_NEAR(marker.left, u + 3.5, 0.1 / placement.scale_x);
  EXPECT_NEAR(marker.top, v + 3.5, 0.1 / placement.scale_y);
  // A point's pixel by the new calibration maps back to its pixel by the old one.
  for (const auto member :
       {&datasets::StereoCalibration::left, &datasets::StereoCalibration::right}) {
    const cv::Point2d before = Project(input.calibration.*member, 0.5, 0.1, 15);
    const cv::Point2d after = Project(fitted->input.calibration.*member, 0.5, 0.1, 15);
    const metrics::Box2d back = ToOriginal({after.x, after.y, after.x, after.y}, placement);
    EXPECT_NEAR(back.left, before.x, 1e-9);
    EXPECT_NEAR(back.top, before.y, 1e-9);
  }
  const cv::Rect content = placement.Content();
  EXPECT_EQ(content & cv::Rect(0, 0, 384, 128), content);
  EXPECT_GT(content.height, 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FitTest,
                         ::testing::Values(std::tuple(1242, 375, 172.0),  // KITTI: padded.
                                           std::tuple(1241, 376, 185.0),
                                           std::tuple(640, 480, 240.0),  // Cropped.
                                           std::tuple(300, 200, 20.0),   // Horizon near the top.
                                           std::tuple(192, 64, 30.0)));  // Enlarged.

TEST(FitStereoInputTest, KittiIsPaddedOnBothSidesOfItsHorizon) {
  const auto fitted = FitStereoInput(Pair(1242, 375, 172.85), {384, 128});
  ASSERT_TRUE(fitted.ok());
  // 375 rows become 116; the horizon, row 53.1 of them, goes to row 57.6.
  EXPECT_EQ(fitted->placement.crop_top, -4);
  EXPECT_EQ(fitted->placement.Content(), cv::Rect(0, 4, 384, 116));
}

TEST(FitStereoInputTest, RefusesSizesThatNetworksCannotHalve) {
  for (const cv::Size size : {cv::Size(100, 128), cv::Size(384, 0), cv::Size(8192, 128)}) {
    EXPECT_EQ(FitStereoInput(Pair(384, 128, 57), size).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(ToOriginalTest, ClipsToTheImage) {
  Placement placement;
  placement.original = {1000, 300};
  placement.scale_x = placement.scale_y = 0.5;
  const metrics::Box2d box = ToOriginal({-10, -10, 600, 600}, placement);
  EXPECT_EQ(box.left, 0);
  EXPECT_EQ(box.top, 0);
  EXPECT_EQ(box.right, 999);
  EXPECT_EQ(box.bottom, 299);
}

TEST(ReadStereoInputTest, NamesWhatIsWrong) {
  TestFolder folder;
  const auto at = [&folder](const char* name) { return folder.path() / name; };
  const cv::Mat image(10, 20, CV_8UC3, cv::Scalar(1, 2, 3)), other(10, 21, CV_8UC3);
  ASSERT_TRUE(datasets::WriteRgbImage(at("l.png"), image).ok());
  ASSERT_TRUE(datasets::WriteRgbImage(at("other.png"), other).ok());
  ASSERT_TRUE(datasets::WriteCalibration(at("c.txt"), Pair(20, 10, 5).calibration).ok());
  ASSERT_TRUE(WriteFileAtomically(at("bad.txt"), "P2: 1 2 3\n").ok());
  EXPECT_TRUE(ReadStereoInput(at("l.png"), at("l.png"), at("c.txt")).ok());
  EXPECT_THAT(ReadStereoInput(at("l.png"), at("r.png"), at("c.txt")).status().message(),
              HasSubstr("r.png"));
  EXPECT_THAT(ReadStereoInput(at("l.png"), at("c.txt"), at("c.txt")).status().message(),
              HasSubstr("c.txt: not a PNG or JPEG"));
  EXPECT_THAT(ReadStereoInput(at("l.png"), at("other.png"), at("c.txt")).status().message(),
              HasSubstr("20x10"));
  EXPECT_THAT(ReadStereoInput(at("l.png"), at("l.png"), at("bad.txt")).status().message(),
              HasSubstr("bad.txt:1:"));
}

}  // namespace
}  // namespace backfire::vision
