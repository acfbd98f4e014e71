#pragma once

#include <cstdint>
#include <vector>

#include "services/datasets/calibration.h"

namespace backfire::pointcloud {

/// Which points are kept.
struct BackProjectionOptions {
  double min_disparity_px = 0.5;  ///< Less is noise, or infinitely far.
  double max_depth_m = 80;
  double max_height_m = 1.0;  ///< Above the camera; pseudo-LiDAR's authors cut at 1 m too.
  int64_t stride = 1;         ///< Every so many rows and columns.
};

/// Points of all pixels that are kept, row by row: x, y, z in the rectified camera-0 frame, metres
/// (x right, y down, z forward).
///   z = f b / d,  x = (u - c_x) z / f + offset_x,  y = (v - c_y) z / f + offset_y
/// where f, c are the left projection's and offset is where the left camera stands (KITTI's
/// development kit, calibration of rectified pairs).
/// @param disparity  [height, width], pixels of the left image.
std::vector<float> BackProject(const float* disparity, int64_t height, int64_t width,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options);

}  // namespace backfire::pointcloud
