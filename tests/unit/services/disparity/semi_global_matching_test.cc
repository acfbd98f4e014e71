#include "services/disparity/semi_global_matching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <opencv2/imgproc.hpp>
#include <sstream>

#include "services/base/file.h"
#include "services/base/random.h"
#include "services/datasets/image_file.h"
#include "tests/support/model_test_kit.h"

namespace backfire::disparity {
namespace {

cv::Mat MatOf(const std::vector<std::vector<float>>& rows) {
  cv::Mat mat(static_cast<int>(rows.size()), static_cast<int>(rows[0].size()), CV_32FC1);
  for (int y = 0; y < mat.rows; ++y) {
    for (int x = 0; x < mat.cols; ++x) {
      mat.at<float>(y, x) = rows[static_cast<size_t>(y)][static_cast<size_t>(x)];
    }
  }
  return mat;
}

struct FillCase {
  std::string name;
  std::vector<std::vector<float>> given, filled;
};
class FillHolesTest : public ::testing::TestWithParam<FillCase> {};
TEST_P(FillHolesTest, AsKittisDevelopmentKit) {
  cv::Mat disparity = MatOf(GetParam().given);
  FillHoles(disparity);
  const cv::Mat expected = MatOf(GetParam().filled);
  EXPECT_EQ(cv::countNonZero(disparity != expected), 0) << disparity;
}
INSTANTIATE_TEST_SUITE_P(
    ByHand, FillHolesTest,
    ::testing::Values(
        FillCase{"TheBackgroundFillsARow", {{9, 0, 0, 4, 0, 5}}, {{9, 4, 4, 4, 4, 5}}},
        FillCase{"ARowsEndsAreExtended", {{0, 0, 3, 0}}, {{3, 3, 3, 3}}},
        FillCase{"RowsWithoutAnyAreFilledByColumn",
                 {{0, 0}, {1, 2}, {0, 0}, {3, 0}, {0, 0}},
                 {{1, 2}, {1, 2}, {1, 2}, {3, 3}, {3, 3}}},
        FillCase{"NothingStaysNothing", {{0, 0}, {0, 0}}, {{0, 0}, {0, 0}}},
        FillCase{"NoHole", {{1, 2}, {3, 4}}, {{1, 2}, {3, 4}}}),
    [](const auto& info) { return info.param.name; });

// Mean absolute error, and KITTI's share of pixels that are off by more than 3 px and 5 %.
struct Errors {
  double mae_px = 0, d1 = 0;
  int64_t pixels = 0;
};
Errors Compare(const cv::Mat& disparity, const cv::Mat& truth) {
  Errors errors;
  for (int y = 0; y < truth.rows; ++y) {
    for (int x = 0; x < truth.cols; ++x) {
      const double expected = truth.at<float>(y, x);
      if (!(expected > 0)) continue;
      const double error = std::abs(disparity.at<float>(y, x) - expected);
      errors.mae_px += error;
      errors.d1 += error > 3 && error > 0.05 * expected ? 1 : 0;
      ++errors.pixels;
    }
  }
  errors.mae_px /= static_cast<double>(errors.pixels);
  errors.d1 /= static_cast<double>(errors.pixels);
  return errors;
}

TEST(SemiGlobalMatchTest, FindsAShiftOfAFlatTexture) {
  // A wall of noise at 12 px; left of x = 12 the right camera does not see it.
  cv::Mat left(64, 160, CV_8UC3), right(64, 160, CV_8UC3);
  Random random(1, 1);
  for (int y = 0; y < left.rows; ++y) {
    for (int x = 0; x < left.cols; ++x) {
      for (int c = 0; c < 3; ++c) {
        left.at<cv::Vec3b>(y, x)[c] = static_cast<uchar>(random.Below(256));
      }
    }
  }
  for (int y = 0; y < left.rows; ++y) {
    for (int x = 0; x < left.cols; ++x) {
      right.at<cv::Vec3b>(y, x) = left.at<cv::Vec3b>(y, std::min(x + 12, left.cols - 1));
    }
  }
  SemiGlobalOptions options;
  options.max_disparity = 32;
  const cv::Mat disparity = SemiGlobalMatch(left, right, options);
  EXPECT_NEAR(disparity.at<float>(32, 100), 12, 0.1);
  EXPECT_EQ(disparity.at<float>(32, 3), 0) << "the right image has nothing there";
  cv::Mat filled = disparity;
  FillHoles(filled);
  EXPECT_NEAR(filled.at<float>(32, 3), 12, 0.1);
  // The same again, to the bit.
  cv::Mat again = SemiGlobalMatch(left, right, options);
  FillHoles(again);
  EXPECT_EQ(cv::countNonZero(again != filled), 0);
}

TEST(SemiGlobalMatchTest, MatchesRenderedStreets) {
  const testing::RenderedFrames frames(0, 2);
  for (int64_t i = 0; i < 2; ++i) {
    SemiGlobalOptions options;
    options.max_disparity = 64;
    cv::Mat disparity =
        SemiGlobalMatch(*frames.dataset().LeftImage(runtime::Split::kTest, i),
                        *frames.dataset().RightImage(runtime::Split::kTest, i), options);
    FillHoles(disparity);
    const Errors errors = Compare(disparity, *frames.dataset().Disparity(runtime::Split::kTest, i));
    EXPECT_LT(errors.mae_px, 4.5) << i;
    EXPECT_LT(errors.d1, 0.35) << i;
    std::printf("rendered frame %d: MAE %.3f px, D1 %.3f\n", static_cast<int>(i), errors.mae_px,
                errors.d1);
  }
}

using Matrix = std::vector<double>;

std::map<std::string, Matrix> ReadCalibration(const std::filesystem::path& path) {
  std::map<std::string, Matrix> matrices;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    double number = 0;
    while (words >> number) matrices[name.substr(0, name.find(':'))].push_back(number);
  }
  return matrices;
}

// What the sweep says of each pixel of the left image: the nearest point's x_left - x_right.
cv::Mat LidarDisparity(const std::filesystem::path& folder, const std::string& frame,
                       cv::Size size) {
  const auto matrices = ReadCalibration(folder / "calib" / (frame + ".txt"));
  const std::string sweep = *ReadFile(folder / "velodyne" / (frame + ".bin"));
  const auto apply = [](const Matrix& m, const std::vector<double>& v, int columns) {
    std::vector<double> result(3, 0);
    for (int r = 0; r < 3; ++r) {
      for (int c = 0; c < columns; ++c) {
        result[static_cast<size_t>(r)] +=
            m[static_cast<size_t>(r * columns + c)] * (c < 3 ? v[static_cast<size_t>(c)] : 1);
      }
    }
    return result;
  };
  cv::Mat truth = cv::Mat::zeros(size, CV_32FC1);
  for (size_t at = 0; at + 16 <= sweep.size(); at += 16) {
    float point[3];
    std::memcpy(point, sweep.data() + at, sizeof(point));
    if (point[0] < 1) continue;
    const auto camera =
        apply(matrices.at("R0_rect"),
              apply(matrices.at("Tr_velo_to_cam"), {point[0], point[1], point[2]}, 4), 3);
    const auto left = apply(matrices.at("P2"), camera, 4);
    const auto right = apply(matrices.at("P3"), camera, 4);
    const int x = static_cast<int>(std::lround(left[0] / left[2]));
    const int y = static_cast<int>(std::lround(left[1] / left[2]));
    if (camera[2] < 1 || x < 0 || y < 0 || x >= size.width || y >= size.height) continue;
    float& pixel = truth.at<float>(y, x);
    pixel = std::max(pixel, static_cast<float>(left[0] / left[2] - right[0] / right[2]));
  }
  return truth;
}

TEST(SemiGlobalMatchTest, MatchesARealStreet) {
  const char* root = std::getenv("BACKFIRE_KITTI_MINI");
  if (root == nullptr) GTEST_SKIP() << "BACKFIRE_KITTI_MINI names no folder of real frames";
  const std::filesystem::path folder = std::filesystem::path(root) / "training";
  const cv::Mat left = *datasets::ReadRgbImage(folder / "image_2" / "900000.png");
  const cv::Mat right = *datasets::ReadRgbImage(folder / "image_3" / "900000.png");
  SemiGlobalOptions options;
  options.max_disparity = 192;
  cv::Mat disparity = SemiGlobalMatch(left, right, options);
  const cv::Mat truth = LidarDisparity(folder, "900000", left.size());
  const double matched = cv::countNonZero(disparity > 0) / static_cast<double>(disparity.total());
  FillHoles(disparity);
  const Errors errors = Compare(disparity, truth);
  std::printf("real frame: %.1f %% matched, MAE %.3f px, D1 %.3f on %d pixels with LiDAR\n",
              100 * matched, errors.mae_px, errors.d1, static_cast<int>(errors.pixels));
  EXPECT_GT(errors.pixels, 10'000);
  // Some points are hidden from the camera, as the LiDAR is above it: these can't be matched.
  EXPECT_LT(errors.mae_px, 4.5);
  EXPECT_LT(errors.d1, 0.18);
}

}  // namespace
}  // namespace backfire::disparity
