#include "services/datasets/image_transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

namespace backfire::datasets {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

TEST(ImageTransformTest, IsReadAndWritten) {
  ImageTransform transform;
  ASSERT_TRUE(*SetTransform(transform, "crop", "1216x352"));
  ASSERT_TRUE(*SetTransform(transform, "size", "608x176"));
  EXPECT_FALSE(*SetTransform(transform, "colour", "1"));
  EXPECT_EQ(FormatTransform(transform), "crop=1216x352&size=608x176");
  ASSERT_TRUE(SetTransform(transform, "crop", "10x20+3+4").ok());
  EXPECT_EQ(FormatTransform(transform), "crop=10x20+3+4&size=608x176");
  for (const char* bad : {"", "12", "12x", "x12", "0x5", "5x5+1", "5x5+1+", "5x5-1-1", "9999x5"}) {
    EXPECT_EQ(SetTransform(transform, "crop", bad).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(ImageTransformTest, WindowIsInTheMiddleAtTheBottom) {
  ImageTransform transform;
  ASSERT_TRUE(SetTransform(transform, "crop", "1216x352").ok());
  const auto frame = TransformFor(transform, {1242, 375});
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->window, cv::Rect(13, 23, 1216, 352));
  EXPECT_THAT(TransformFor(transform, {1224, 350}).status().message(), HasSubstr("1224x350"));
}

TEST(ImageTransformTest, BoxesAreClippedAndTruncated) {
  // By hand: window 100x50 at (10, 20), halved. A box from 0 to 39 loses what is left of 10.
  const FrameTransform transform = {{10, 20, 100, 50}, {50, 25}};
  metrics::Object object;
  object.type = "Car";
  object.truncation = 0.2;
  object.box_2d = {-0.5, 29.5, 39.5, 49.5};
  metrics::Object outside = object;
  outside.box_2d = {0, 30, 8, 50};
  const auto labels = TransformLabels(transform, {object, outside});
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_NEAR(labels[0].box_2d.left, 0, 1e-9);
  EXPECT_NEAR(labels[0].box_2d.right, 14.5, 1e-9);
  EXPECT_NEAR(labels[0].box_2d.top, 4.5, 1e-9);
  EXPECT_NEAR(labels[0].box_2d.bottom, 14.5, 1e-9);
  EXPECT_NEAR(labels[0].truncation, 1 - 0.8 * 14.5 / 20, 1e-9);
}

TEST(ImageTransformTest, SparseDisparityIsNotBlurred) {
  cv::Mat disparity(4, 8, CV_32FC1, cv::Scalar(0));
  disparity.at<float>(1, 3) = 12;
  const cv::Mat half = TransformDisparity({{0, 0, 8, 4}, {4, 2}}, disparity);
  EXPECT_EQ(half.at<float>(0, 1), 6);
  EXPECT_EQ(cv::countNonZero(half), 1);
}

// A transformed frame is as a camera of the transformed calibration would have seen it: 3D boxes
// project onto the transformed 2D boxes, disparity agrees with depth.
TEST(ImageTransformTest, EverythingGoesAlong) {
  const std::string uri =
      "rendered:half?frames=4&validation=0&test=0&seed=3&slope_deg=0&cars=0&pedestrians=0";
  const auto whole = OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(whole.ok()) << whole.status();
  ImageTransform transform;
  ASSERT_TRUE(SetTransform(transform, "crop", "600x160").ok());
  ASSERT_TRUE(SetTransform(transform, "size", "450x120").ok());
  const auto dataset = TransformDataset(*whole, transform);
  EXPECT_NE(dataset->digest(), (*whole)->digest());
  int checked = 0;
  for (int64_t i = 0; i < 4; ++i) {
    const auto left = dataset->LeftImage(Split::kTrain, i);
    ASSERT_TRUE(left.ok()) << left.status();
    EXPECT_EQ(left->size(), cv::Size(450, 120));
    EXPECT_EQ(*dataset->ImageSize(Split::kTrain, i), cv::Size(450, 120));
    const StereoCalibration calibration = *dataset->Calibration(Split::kTrain, i);
    EXPECT_NEAR(calibration.focal_length_px(), 0.75 * 721.5377 / 2, 1e-9);
    const cv::Mat disparity = *dataset->Disparity(Split::kTrain, i);
    const double fb = calibration.focal_length_px() * calibration.baseline_m();
    EXPECT_NEAR(fb, 0.75 * 721.5377 / 2 * 0.54, 1e-6);
    for (int y = 80; y < 120; ++y) {  // The road: depth from disparity gives its height.
      const double z = fb / disparity.at<float>(y, 225);
      const double height = (y - calibration.centre_y_px()) * z / calibration.left[5];
      if (z > 11) continue;  // Something may stand there.
      EXPECT_NEAR(height, 1.65, 0.03) << "frame " << i << " row " << y;
      ++checked;
    }
  }
  EXPECT_GT(checked, 20);
}

}  // namespace
}  // namespace backfire::datasets
