#include "services/pointcloud/back_projection.h"

namespace backfire::pointcloud {

std::vector<float> BackProject(const float* disparity, int64_t height, int64_t width,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options) {
  const double focal_times_baseline = calibration.focal_length_px() * calibration.baseline_m();
  const double focal_y = calibration.left[5];
  std::vector<float> points;
  points.reserve(static_cast<size_t>(3 * height * width / (options.stride * options.stride)));
  for (int64_t v = 0; v < height; v += options.stride) {
    for (int64_t u = 0; u < width; u += options.stride) {
      const double d = disparity[v * width + u];
      if (!(d >= options.min_disparity_px)) continue;
      const double z = focal_times_baseline / d;
      if (z > options.max_depth_m) continue;
      const double x =
          (static_cast<double>(u) - calibration.centre_x_px()) * z / calibration.focal_length_px();
      const double y = (static_cast<double>(v) - calibration.centre_y_px()) * z / focal_y;
      if (-y > options.max_height_m) continue;
      points.push_back(static_cast<float>(x + calibration.left_offset_x_m()));
      points.push_back(static_cast<float>(y + calibration.left_offset_y_m()));
      points.push_back(static_cast<float>(z));
    }
  }
  return points;
}

}  // namespace backfire::pointcloud
