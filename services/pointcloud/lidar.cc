#include "services/pointcloud/lidar.h"

#include "services/base/status.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/lidar.h"

namespace backfire::pointcloud {

absl::StatusOr<std::vector<float>> ReadLidar(const std::filesystem::path& sweep,
                                             const std::filesystem::path& calibration) {
  BACKFIRE_ASSIGN_OR_RETURN(const datasets::KittiCalibration cameras,
                            datasets::ReadKittiCalibration(calibration));
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<datasets::LidarPoint> scan,
                            datasets::ReadLidar(sweep));
  const auto in_rect = datasets::LidarInRect(scan, cameras);
  if (!in_rect.ok()) return Annotate(in_rect.status(), calibration.string());
  std::vector<float> points;
  points.reserve(4 * scan.size());
  for (size_t i = 0; i < scan.size(); ++i) {
    const cv::Point3d& point = (*in_rect)[i];
    for (const double coordinate : {point.x, point.y, point.z}) {
      points.push_back(static_cast<float>(coordinate));
    }
    points.push_back(scan[i].reflectance);
  }
  return points;
}

std::vector<float> ApplyLimits(const std::vector<float>& points,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options) {
  std::vector<float> kept;
  for (size_t i = 0; i + 3 < points.size(); i += 4) {
    const double height = calibration.left_offset_y_m() - points[i + 1], depth = points[i + 2];
    if (!(depth > 0) || depth < options.min_depth_m || depth > options.max_depth_m ||
        height > options.max_height_m) {
      continue;
    }
    kept.insert(kept.end(), points.begin() + static_cast<std::ptrdiff_t>(i),
                points.begin() + static_cast<std::ptrdiff_t>(i + 4));
  }
  return kept;
}

}  // namespace backfire::pointcloud
