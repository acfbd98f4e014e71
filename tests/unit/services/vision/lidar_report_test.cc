#include "services/vision/lidar_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

namespace backfire::vision {
namespace {

TEST(LidarReportTest, ComparesWhereLidarMeasuredAndTheReleaseWasShown) {
  ReleaseView view;
  view.release = "3";
  // Half the size of the image; its first row was cropped away.
  view.disparity = cv::Mat(2, 4, CV_32FC1, cv::Scalar(10));
  view.disparity.row(0).setTo(0);
  cv::Mat lidar(4, 8, CV_32FC1, cv::Scalar(0));
  lidar.at<float>(0, 3) = 12;  // Not shown.
  lidar.at<float>(3, 1) = 11;  // 1 px off.
  lidar.at<float>(3, 5) = 15;  // 5 px off, and more than 5 %.
  const auto errors = CompareWithLidar({view}, lidar);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].points, 2);
  EXPECT_EQ(errors[0].not_shown, 1);
  EXPECT_DOUBLE_EQ(errors[0].mae_px, 3);
  EXPECT_DOUBLE_EQ(errors[0].d1_percent, 50);
  EXPECT_EQ(FormatLidarJson(errors),
            "{\"lidar\": [{\"release\": \"3\", \"disparity_mae_px\": 3, \"disparity_d1_percent\": "
            "50, \"points\": 2, \"not_shown\": 1}]}\n");
  EXPECT_THAT(FormatLidarTable(errors), ::testing::HasSubstr("3.000"));
}

}  // namespace
}  // namespace backfire::vision
