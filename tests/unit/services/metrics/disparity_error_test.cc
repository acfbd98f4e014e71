#include "services/metrics/disparity_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace backfire::metrics {
namespace {

TEST(DisparityErrorTest, SumsByRangeOfTrueDepth) {
  // f B = 200: true disparities 20, 10, 5, 4 px are 10, 20, 40, 50 m.
  const std::vector<float> truth = {20, 10, 5, 4, 0, -1};
  const std::vector<float> predicted = {21, 14, 5, 2, 9, 9};
  const DisparityErrorSums sums = SumDisparityErrors(predicted.data(), truth.data(), 6, 200);
  EXPECT_DOUBLE_EQ(sums.absolute_error_px[0], 1 + 4 + 0 + 2);
  EXPECT_DOUBLE_EQ(sums.pixels[0], 4);
  EXPECT_DOUBLE_EQ(sums.bad_pixels[0], 1);
  EXPECT_DOUBLE_EQ(sums.absolute_error_px[1], 1);  // 10 m; 20 m belongs to the next range.
  EXPECT_DOUBLE_EQ(sums.absolute_error_px[2], 4);
  EXPECT_DOUBLE_EQ(sums.absolute_error_px[3], 2);
  EXPECT_DOUBLE_EQ(sums.pixels[3], 2);
}

TEST(DisparityErrorTest, DepthIsComparedWhereThereIsOne) {
  // f B = 200: 10 m for 8 m, 50 m for 40 m; the third says that there is no match.
  const std::vector<float> truth = {20, 4, 10};
  const std::vector<float> predicted = {25, 5, 0};
  const DisparityErrorSums sums = SumDisparityErrors(predicted.data(), truth.data(), 3, 200);
  EXPECT_DOUBLE_EQ(sums.depth_error_m[0], 2 + 10);
  EXPECT_DOUBLE_EQ(sums.predicted_pixels[0], 2);
  EXPECT_DOUBLE_EQ(sums.depth_error_m[1], 2);
  EXPECT_DOUBLE_EQ(sums.predicted_pixels[2], 0);  // 20 m.
  EXPECT_DOUBLE_EQ(sums.depth_error_m[3], 10);
  EXPECT_DOUBLE_EQ(sums.absolute_error_px[0], 5 + 1 + 10);
  EXPECT_DOUBLE_EQ(sums.bad_pixels[0], 2);
}

TEST(DisparityErrorTest, BadMeansMoreThanThreePixelsAndFivePercent) {
  const std::vector<float> truth = {100, 100, 20, 20};
  const std::vector<float> predicted = {104.5f, 105.5f, 23, 23.5f};
  EXPECT_DOUBLE_EQ(SumDisparityErrors(predicted.data(), truth.data(), 4, 200).bad_pixels[0], 2);
}

TEST(DisparityErrorTest, NanTruthIsLeftOutNanPredictionIsNot) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> truth = {nan, 10};
  const std::vector<float> predicted = {1, nan};
  const DisparityErrorSums sums = SumDisparityErrors(predicted.data(), truth.data(), 2, 200);
  EXPECT_DOUBLE_EQ(sums.pixels[0], 1);
  EXPECT_DOUBLE_EQ(sums.bad_pixels[0], 1);
  EXPECT_TRUE(std::isnan(sums.absolute_error_px[0]));
  EXPECT_TRUE(std::isnan(sums.depth_error_m[0]));
}

}  // namespace
}  // namespace backfire::metrics
