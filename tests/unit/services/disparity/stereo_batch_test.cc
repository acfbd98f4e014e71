#include "services/disparity/stereo_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace backfire::disparity {
namespace {

constexpr int64_t kRows = 64, kColumns = 128;
constexpr float kDisparity = 6;

// A smooth pattern on a wall that both cameras see head-on, 6 px apart.
StereoTraining Wall() {
  StereoTraining data;
  torch::Tensor left = torch::empty({kRows, kColumns, 3}, torch::kUInt8);
  torch::Tensor right = torch::empty_like(left);
  const auto light = [](double x, double y) {
    return static_cast<uint8_t>(128 + 60 * std::sin(x / 5) + 50 * std::sin(y / 7));
  };
  for (int64_t y = 0; y < kRows; ++y) {
    for (int64_t x = 0; x < kColumns; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t at = (y * kColumns + x) * 3 + c;
        left.data_ptr<uint8_t>()[at] = light(static_cast<double>(x), static_cast<double>(y));
        right.data_ptr<uint8_t>()[at] =
            light(static_cast<double>(x) + kDisparity, static_cast<double>(y));
      }
    }
  }
  data.left.push_back(left);
  data.right.push_back(right);
  data.truth.push_back(torch::full({kRows, kColumns}, kDisparity));
  data.focal_times_baseline.push_back(100);
  return data;
}

// Mean difference of the left image from the right one where the truth says it is, some rows down.
double Mismatch(const StereoBatch& batch, int64_t b, int64_t down) {
  const auto left = batch.left.accessor<float, 4>(), right = batch.right.accessor<float, 4>();
  const float disparity = batch.truth[b][0][0].item<float>();
  double sum = 0;
  int64_t count = 0;
  for (int64_t y = 4; y < left.size(2) - 4; ++y) {
    for (int64_t x = 16; x < left.size(3); ++x) {
      const float at = static_cast<float>(x) - disparity;
      const auto below = static_cast<int64_t>(std::floor(at));
      const float part = at - static_cast<float>(below);
      const float seen =
          right[b][0][y + down][below] * (1 - part) + right[b][0][y + down][below + 1] * part;
      sum += std::abs(seen - left[b][0][y][x]);
      ++count;
    }
  }
  return sum / static_cast<double>(count);
}

TEST(StereoBatchTest, IsAFunctionOfSeedAndStep) {
  const StereoTraining data = Wall();
  for (const double geometric : {0.0, 1.0}) {
    const CropOptions crop{2, 32, 48, 0.5, geometric, geometric};
    const StereoBatch batch = MakeStereoBatch(data, crop, 3, 7);
    EXPECT_TRUE(torch::equal(batch.right, MakeStereoBatch(data, crop, 3, 7).right));
    EXPECT_FALSE(torch::equal(batch.right, MakeStereoBatch(data, crop, 3, 8).right));
    EXPECT_FALSE(torch::equal(batch.right, MakeStereoBatch(data, crop, 4, 7).right));
  }
}

TEST(StereoBatchTest, AZoomScalesDisparityAndFocalLengthWithTheImages) {
  const StereoTraining data = Wall();
  float least = kDisparity, most = kDisparity;
  for (int64_t step = 0; step < 20; ++step) {
    const StereoBatch batch = MakeStereoBatch(data, {2, 32, 48, 0, 1, 0}, 1, step);
    for (int64_t b = 0; b < 2; ++b) {
      const float disparity = batch.truth[b][0][0].item<float>();
      EXPECT_NEAR(batch.focal_times_baseline[b].item<float>() / disparity, 100 / kDisparity, 1e-4);
      EXPECT_TRUE(torch::equal(batch.truth[b], torch::full({32, 48}, disparity)));
      least = std::min(least, disparity);
      most = std::max(most, disparity);
      // Matched up to a pixel's misalignment; off by as much as the pattern is without the shift.
      EXPECT_LT(Mismatch(batch, b, 0), 0.25);
    }
  }
  EXPECT_LT(least, 0.8 * kDisparity);
  EXPECT_GT(most, 1.3 * kDisparity);
}

TEST(StereoBatchTest, WithoutChangesOfGeometryACropIsACopy) {
  const StereoBatch batch = MakeStereoBatch(Wall(), {2, 32, 48, 0, 0, 0}, 1, 1);
  EXPECT_TRUE(torch::equal(batch.truth, torch::full({2, 32, 48}, kDisparity)));
  EXPECT_LT(Mismatch(batch, 0, 0), 1e-5);
  EXPECT_GT(Mismatch(batch, 0, 2), 0.05);
}

TEST(StereoBatchTest, APatchOfTheRightImageIsHidden) {
  const StereoTraining data = Wall();
  CropOptions crop{2, 32, 48};
  const StereoBatch whole = MakeStereoBatch(data, crop, 1, 1);
  crop.occlusion = 1;
  const StereoBatch hidden = MakeStereoBatch(data, crop, 1, 1);
  EXPECT_TRUE(torch::equal(hidden.left[0], whole.left[0]));
  const torch::Tensor changed = (hidden.right[0] != whole.right[0]).any(0);
  const double part = changed.to(torch::kFloat32).mean().item<double>();
  EXPECT_GT(part, 0.005);
  EXPECT_LT(part, 0.13);
  const torch::Tensor values = hidden.right[0][0].masked_select(changed);
  EXPECT_EQ(values.min().item<float>(), values.max().item<float>());
  EXPECT_NEAR(values.min().item<float>(), whole.right[0][0].mean().item<float>(), 1e-5);
}

}  // namespace
}  // namespace backfire::disparity
