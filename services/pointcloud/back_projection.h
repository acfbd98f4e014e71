#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "services/datasets/calibration.h"

namespace backfire::pointcloud {

/// Which points are kept.
struct BackProjectionOptions {
  double min_disparity_px = 0.5;  ///< Less is noise, or infinitely far.
  double min_depth_m = 0;
  double max_depth_m = 80;
  double max_height_m = 1.0;  ///< Above the camera: winsorization, as the paper calls it.
  int64_t stride = 1;         ///< Every so many rows and columns.
  bool intensity = false;     ///< A fourth column of ones, as pseudo-LiDAR's authors have it.
  int64_t columns() const { return intensity ? 4 : 3; }
};

/// What a back-projection wrote.
struct BackProjection {
  int64_t points = 0;
  bool finite = true;      ///< False: some disparity was NaN or infinite (its point is left out).
  bool cancelled = false;  ///< True: it ended early.
};

/// Writes the points of all pixels that are kept, row by row: x, y, z in the rectified camera-0
/// frame, metres (x right, y down, z forward), then intensity if asked for.
///   z = f b / d,  x = (u - c_x) z / f + offset_x,  y = (v - c_y) z / f_y + offset_y
/// where f, c are the left projection's and offset is where the left camera stands (Wang et al.,
/// CVPR 2019, equations 1 and 2; KITTI's development kit). One pass over memory, in float32,
/// vectorised; the same bits on every machine.
/// @param disparity  [height, width], pixels of the left image.
/// @param points     Room for BackProjectionCapacity(...) values.
/// @param cancelled  Asked every some rows.
BackProjection BackProjectInto(
    const float* disparity, int64_t height, int64_t width,
    const datasets::StereoCalibration& calibration, const BackProjectionOptions& options,
    float* points, const std::function<bool()>& cancelled = [] { return false; });
int64_t BackProjectionCapacity(int64_t height, int64_t width, const BackProjectionOptions& options);

/// The same as a vector.
std::vector<float> BackProject(const float* disparity, int64_t height, int64_t width,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options);

}  // namespace backfire::pointcloud
