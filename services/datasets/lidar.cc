#include "services/datasets/lidar.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"

namespace backfire::datasets {
namespace {

constexpr size_t kPointBytes = 4 * sizeof(float);
static_assert(sizeof(LidarPoint) == kPointBytes, "scans are copied as they are");

// Largest value in a rectangle of the map, clipped to it.
float Largest(const cv::Mat& map, int x0, int x1, int y0, int y1) {
  float largest = 0;
  for (int y = std::max(y0, 0); y <= std::min(y1, map.rows - 1); ++y) {
    const auto* row = map.ptr<float>(y);
    for (int x = std::max(x0, 0); x <= std::min(x1, map.cols - 1); ++x) {
      largest = std::max(largest, row[x]);
    }
  }
  return largest;
}

// Whether nearer surfaces lie on both sides of a pixel: it shows through between two scan lines.
bool Enclosed(const cv::Mat& disparity, int x, int y) {
  // Scan lines are up to 6 rows apart in KITTI's images, points of a line 1 to 2 columns.
  constexpr int kReach = 7, kAside = 1;
  const float nearer = 1.15f * disparity.at<float>(y, x) + 0.5f;
  if (Largest(disparity, x - kAside, x + kAside, y - kReach, y - 1) > nearer &&
      Largest(disparity, x - kAside, x + kAside, y + 1, y + kReach) > nearer) {
    return true;
  }
  return Largest(disparity, x - kReach, x - 1, y - kAside, y + kAside) > nearer &&
         Largest(disparity, x + 1, x + kReach, y - kAside, y + kAside) > nearer;
}

}  // namespace

absl::StatusOr<std::vector<LidarPoint>> ParseLidar(std::string_view content,
                                                   std::string_view where) {
  if (content.size() % kPointBytes != 0) {
    return absl::DataLossError(
        absl::StrCat(std::string(where), ": a scan has 16 bytes a point: got ", content.size(),
                     " bytes, ", content.size() % kPointBytes, " too many (cut off?)"));
  }
  std::vector<LidarPoint> points(content.size() / kPointBytes);
  if (!points.empty()) std::memcpy(points.data(), content.data(), content.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const LidarPoint& p = points[i];
    if (!std::isfinite(p.x) || !std::isfinite(p.y) || !std::isfinite(p.z) ||
        !std::isfinite(p.reflectance)) {
      return absl::DataLossError(absl::StrCat(std::string(where), ": point ", i,
                                              " (from 0) has a number that is not finite"));
    }
  }
  return points;
}

absl::StatusOr<std::vector<LidarPoint>> ReadLidar(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadRegularFile(path));
  return ParseLidar(content, path.string());
}

std::string FormatLidar(const std::vector<LidarPoint>& points) {
  return std::string(reinterpret_cast<const char*>(points.data()), points.size() * kPointBytes);
}

absl::Status WriteLidar(const std::filesystem::path& path, const std::vector<LidarPoint>& points) {
  return WriteFileAtomically(path, FormatLidar(points));
}

absl::StatusOr<std::vector<cv::Point3d>> LidarInRect(const std::vector<LidarPoint>& scan,
                                                     const KittiCalibration& calibration) {
  BACKFIRE_ASSIGN_OR_RETURN(const RigidMotion rect_from_velo, calibration.RectFromVelo());
  std::vector<cv::Point3d> points;
  points.reserve(scan.size());
  for (const LidarPoint& p : scan) {
    const auto q = Transform(rect_from_velo, {p.x, p.y, p.z});
    points.emplace_back(q[0], q[1], q[2]);
  }
  return points;
}

absl::StatusOr<cv::Mat> DisparityFromLidar(const std::vector<LidarPoint>& scan,
                                           const KittiCalibration& calibration, cv::Size size) {
  BACKFIRE_ASSIGN_OR_RETURN(const StereoCalibration stereo, calibration.Stereo());
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<cv::Point3d> points, LidarInRect(scan, calibration));
  constexpr double kNearM = 0.5;  // Nearer is the car itself.
  cv::Mat nearest(size, CV_32FC1, cv::Scalar(0));
  for (const cv::Point3d& point : points) {
    const auto left = ProjectPoint(stereo.left, {point.x, point.y, point.z});
    const auto right = ProjectPoint(stereo.right, {point.x, point.y, point.z});
    if (!(left[2] > kNearM) || !(right[2] > kNearM)) continue;
    const double u = std::floor(left[0] + 0.5), v = std::floor(left[1] + 0.5);
    if (!(u >= 0 && u < size.width && v >= 0 && v < size.height)) continue;
    auto& pixel = nearest.at<float>(static_cast<int>(v), static_cast<int>(u));
    pixel = std::max(pixel, static_cast<float>(left[0] - right[0]));
  }
  cv::Mat visible = nearest.clone();
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      if (nearest.at<float>(y, x) > 0 && Enclosed(nearest, x, y)) visible.at<float>(y, x) = 0;
    }
  }
  return visible;
}

}  // namespace backfire::datasets
