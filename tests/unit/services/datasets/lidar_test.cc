#include "services/datasets/lidar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <opencv2/core.hpp>

#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

using ::testing::HasSubstr;

// f 100 px, centre (50, 30), baseline 0.5 m; the LiDAR stands where camera 0 does.
KittiCalibration Simple() {
  KittiCalibration calibration;
  calibration.image_from_rect[2] = Projection{100, 0, 50, 0, 0, 100, 30, 0, 0, 0, 1, 0};
  calibration.image_from_rect[3] = Projection{100, 0, 50, -50, 0, 100, 30, 0, 0, 0, 1, 0};
  calibration.rect_from_cam0 = Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  calibration.cam0_from_velo = RigidMotion{0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0};
  return calibration;
}

// In the scanner's frame, what is at (x, y, z) of the camera's.
LidarPoint At(double x, double y, double z) {
  return {static_cast<float>(z), static_cast<float>(-x), static_cast<float>(-y), 0.5f};
}

TEST(LidarTest, FilesRoundTrip) {
  TestFolder folder;
  const std::vector<LidarPoint> scan = {{1.5f, -2, 3, 0.25f}, {40, 0, -1, 1}};
  const auto path = folder.path() / "000001.bin";
  ASSERT_TRUE(WriteLidar(path, scan).ok());
  const auto back = ReadLidar(path);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[0].y, -2);
  EXPECT_EQ((*back)[1].reflectance, 1);
  EXPECT_TRUE(ParseLidar("", "empty")->empty());
}

TEST(LidarTest, RefusesDamage) {
  const std::string two = FormatLidar({{1, 2, 3, 0}, {4, 5, 6, 0}});
  const absl::Status cut = ParseLidar(two.substr(0, 30), "a/000001.bin").status();
  EXPECT_EQ(cut.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(cut.message(), HasSubstr("a/000001.bin: a scan has 16 bytes a point: got 30"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(ParseLidar(FormatLidar({{1, 2, 3, 0}, {4, nan, 6, 0}}), "b.bin").status().message(),
              HasSubstr("point 1"));
}

TEST(LidarTest, DisparityByItsDefinition) {
  // x = 1, z = 10: u = 60; the right camera sees it at 55: 5 px. Behind the camera and outside:
  // none.
  const auto disparity =
      DisparityFromLidar({At(1, 0, 10), At(1, 0, -10), At(90, 0, 10)}, Simple(), {100, 60});
  ASSERT_TRUE(disparity.ok()) << disparity.status();
  EXPECT_NEAR(disparity->at<float>(30, 60), 5, 1e-5);
  EXPECT_EQ(cv::countNonZero(*disparity), 1);
}

TEST(LidarTest, TheNearestWins) {
  // Both at pixel (60, 30): 10 m and 20 m.
  const auto disparity =
      DisparityFromLidar({At(2, 0, 20), At(1, 0, 10), At(2.001, 0, 20.01)}, Simple(), {100, 60});
  EXPECT_NEAR(disparity->at<float>(30, 60), 5, 1e-5);
}

TEST(LidarTest, WhatShowsThroughIsLeftOut) {
  // A wall at 5 m in scan lines 4 rows apart, and a point at 20 m between two of them; another
  // beside the wall, which the camera sees.
  std::vector<LidarPoint> scan;
  for (const double row : {26, 30, 34}) {
    for (int column = 40; column <= 60; ++column) {
      scan.push_back(At((column - 50) * 5 / 100.0, (row - 30) * 5 / 100.0, 5));
    }
  }
  scan.push_back(At(0, 0.4, 20));    // Pixel (50, 32).
  scan.push_back(At(2.4, 0.4, 20));  // Pixel (62, 32).
  const auto disparity = DisparityFromLidar(scan, Simple(), {100, 60});
  EXPECT_EQ(disparity->at<float>(32, 50), 0);
  EXPECT_NEAR(disparity->at<float>(32, 62), 2.5, 1e-5);
  EXPECT_EQ(cv::countNonZero(*disparity), 64);
}

TEST(LidarTest, NeedsTheScannersPlace) {
  KittiCalibration calibration = Simple();
  calibration.cam0_from_velo.reset();
  const absl::Status status = DisparityFromLidar({}, calibration, {10, 10}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("Tr_velo_to_cam"));
}

}  // namespace
}  // namespace backfire::datasets
