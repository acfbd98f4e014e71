#include "services/disparity/semi_global_matching.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <opencv2/calib3d.hpp>
#include <opencv2/imgproc.hpp>

namespace backfire::disparity {
namespace {

// OpenCV gives disparities times 16.
constexpr double kScale = 16;
// Of a colour image.
constexpr int64_t kChannels = 3;

int Rounded(double value) { return static_cast<int>(value + 0.5); }

}  // namespace

double LargestPenalty(const SemiGlobalOptions& options) {
  // Per pixel and channel, OpenCV adds the difference of clipped gradients, each in [-cap, cap],
  // and a quarter of the intensities'. It takes a cap below 15 as 15, and an even one as the next.
  const int64_t cap = std::max<int64_t>(options.filter_cap, 15) | 1;
  const int64_t elements = options.block_size * options.block_size * kChannels;
  const int64_t largest_cost = elements * (2 * cap + 255 / 4);
  // What a path adds to a cost is at most the large penalty.
  const double room = static_cast<double>(std::numeric_limits<int16_t>::max() - largest_cost) /
                      static_cast<double>(elements);
  return std::floor(10 * room) / 10;
}

cv::Mat SemiGlobalMatch(const cv::Mat& left, const cv::Mat& right,
                        const SemiGlobalOptions& options) {
  const int range = static_cast<int>(options.max_disparity);
  const int block = static_cast<int>(options.block_size);
  const int elements = block * block * left.channels();
  const cv::Ptr<cv::StereoSGBM> matcher = cv::StereoSGBM::create(
      /*minDisparity=*/0, range, block, Rounded(options.small_penalty * elements),
      Rounded(options.large_penalty * elements), Rounded(options.left_right_px),
      static_cast<int>(options.filter_cap), Rounded(options.uniqueness_percent),
      static_cast<int>(options.speckle_pixels), Rounded(options.speckle_range_px),
      options.paths == 8 ? cv::StereoSGBM::MODE_HH : cv::StereoSGBM::MODE_SGBM);
  // OpenCV leaves out the columns whose whole range is not in the right image. With a margin there
  // are none; what then matches the margin is no match.
  cv::Mat wide_left, wide_right, fixed_point;
  cv::copyMakeBorder(left, wide_left, 0, 0, range, 0, cv::BORDER_REPLICATE);
  cv::copyMakeBorder(right, wide_right, 0, 0, range, 0, cv::BORDER_REPLICATE);
  matcher->compute(wide_left, wide_right, fixed_point);
  cv::Mat disparity(left.size(), CV_32FC1);
  for (int y = 0; y < disparity.rows; ++y) {
    const auto* from = fixed_point.ptr<int16_t>(y) + range;
    auto* to = disparity.ptr<float>(y);
    for (int x = 0; x < disparity.cols; ++x) {
      const float value = static_cast<float>(from[x] / kScale);
      to[x] = value > 0 && value <= static_cast<float>(x) ? value : 0.0F;
    }
  }
  return disparity;
}

void FillHoles(cv::Mat& disparity) {
  const int width = disparity.cols, height = disparity.rows;
  for (int y = 0; y < height; ++y) {
    auto* row = disparity.ptr<float>(y);
    int last = -1;  // The last column with a match.
    for (int x = 0; x < width; ++x) {
      if (!(row[x] > 0)) continue;
      const float fill = last < 0 ? row[x] : std::min(row[last], row[x]);
      std::fill(row + last + 1, row + x, fill);
      last = x;
    }
    if (last >= 0) std::fill(row + last + 1, row + width, row[last]);
  }
  // A row has a match in all of its columns by now, or in none.
  const auto has_match = [&](int y) { return disparity.at<float>(y, 0) > 0; };
  int first = 0;
  while (first < height && !has_match(first)) ++first;
  if (first == height || width == 0) return;
  for (int y = 0; y < first; ++y) disparity.row(first).copyTo(disparity.row(y));
  for (int y = first + 1; y < height; ++y) {
    if (!has_match(y)) disparity.row(y - 1).copyTo(disparity.row(y));
  }
}

}  // namespace backfire::disparity
