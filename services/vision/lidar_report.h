#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/vision/perceive.h"

namespace backfire::vision {

/// How far a release's disparity is from LiDAR's, over the pixels that LiDAR measured and that the
/// release was shown.
struct LidarError {
  std::string release;
  double mae_px = 0;      ///< Mean absolute error, pixels of the original image.
  double d1_percent = 0;  ///< Off by more than 3 px and 5 %: KITTI 2015's D1.
  int64_t points = 0;     ///< Pixels that were compared.
  int64_t not_shown = 0;  ///< Pixels in rows that were cropped away.
};

/// @param lidar  CV_32FC1 of the original image's size, pixels; 0 where LiDAR saw nothing.
std::vector<LidarError> CompareWithLidar(const std::vector<ReleaseView>& views,
                                         const cv::Mat& lidar);

/// A table for people.
std::string FormatLidarTable(const std::vector<LidarError>& errors);
/// One JSON object: {"lidar": [{"release", "disparity_mae_px", "disparity_d1_percent", "points",
/// "not_shown"}]}.
std::string FormatLidarJson(const std::vector<LidarError>& errors);

}  // namespace backfire::vision
