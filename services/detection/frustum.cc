#include "services/detection/frustum.h"

#include <algorithm>
#include <cmath>

namespace backfire::detection {
namespace {

// Turns (x, z) so that what was at `angle` from straight ahead is straight ahead.
void Turn(double angle, double& x, double& z) {
  const double c = std::cos(angle), s = std::sin(angle);
  const double turned_x = c * x - s * z;
  z = s * x + c * z;
  x = turned_x;
}

}  // namespace

Frustum ExtractFrustum(const PointCloudView& points, const datasets::StereoCalibration& calibration,
                       const metrics::Box2d& box, int64_t sample_count, int64_t min_points,
                       Random& random) {
  const double f_x = calibration.left[0], f_y = calibration.left[5];
  const double offset_x = calibration.left_offset_x_m(), offset_y = calibration.left_offset_y_m();
  std::vector<int64_t> inside;
  for (int64_t i = 0; i < points.count; ++i) {
    const float* p = points.point(i);
    if (!(p[2] > 0.1f)) continue;
    const double u = (p[0] - offset_x) * f_x / p[2] + calibration.centre_x_px();
    const double v = (p[1] - offset_y) * f_y / p[2] + calibration.centre_y_px();
    if (u >= box.left && u <= box.right && v >= box.top && v <= box.bottom) inside.push_back(i);
  }
  Frustum frustum;
  if (static_cast<int64_t>(inside.size()) < std::max<int64_t>(min_points, 1)) return frustum;
  frustum.angle = std::atan2((box.left + box.right) / 2 - calibration.centre_x_px(), f_x);

  // A partial Fisher-Yates shuffle: without replacement while there are enough.
  const auto available = static_cast<int64_t>(inside.size());
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < sample_count; ++i) {
    if (i < available) {
      std::swap(inside[static_cast<size_t>(i)],
                inside[static_cast<size_t>(i + random.Below(available - i))]);
      chosen.push_back(inside[static_cast<size_t>(i)]);
    } else {
      chosen.push_back(inside[static_cast<size_t>(random.Below(available))]);
    }
  }
  std::vector<double> depths;
  for (const int64_t i : chosen) {
    const float* p = points.point(i);
    double x = p[0], z = p[2];
    Turn(frustum.angle, x, z);
    depths.push_back(z);
    frustum.points.push_back(static_cast<float>(x));
    frustum.points.push_back(p[1]);
    frustum.points.push_back(static_cast<float>(z));
  }
  std::nth_element(depths.begin(), depths.begin() + static_cast<std::ptrdiff_t>(depths.size() / 2),
                   depths.end());
  frustum.depth_m = depths[depths.size() / 2];
  for (size_t i = 2; i < frustum.points.size(); i += 3) {
    frustum.points[i] -= static_cast<float>(frustum.depth_m);
  }
  return frustum;
}

FrustumBox ToFrustum(const metrics::Box3d& box, const Frustum& frustum) {
  FrustumBox turned;
  double x = box.x, z = box.z;
  Turn(frustum.angle, x, z);
  turned.x = x;
  turned.y = box.y - box.height / 2;
  turned.z = z - frustum.depth_m;
  turned.height = box.height;
  turned.width = box.width;
  turned.length = box.length;
  turned.heading = box.rotation_y - frustum.angle;
  return turned;
}

metrics::Box3d FromFrustum(const FrustumBox& turned, const Frustum& frustum) {
  metrics::Box3d box;
  double x = turned.x, z = turned.z + frustum.depth_m;
  Turn(-frustum.angle, x, z);
  box.x = x;
  box.y = turned.y + turned.height / 2;
  box.z = z;
  box.height = turned.height;
  box.width = turned.width;
  box.length = turned.length;
  box.rotation_y = std::remainder(turned.heading + frustum.angle, 2 * M_PI);
  return box;
}

bool Inside(const FrustumBox& box, const float* point) {
  double along = point[0] - box.x, across = point[2] - box.z;
  // The length lies along (cos heading, -sin heading) in (x, z).
  const double c = std::cos(box.heading), s = std::sin(box.heading);
  const double l = c * along - s * across;
  const double w = s * along + c * across;
  return std::abs(l) <= box.length / 2 && std::abs(w) <= box.width / 2 &&
         std::abs(point[1] - box.y) <= box.height / 2;
}

void Mirror(Frustum& frustum, FrustumBox& box) {
  for (size_t i = 0; i < frustum.points.size(); i += 3) frustum.points[i] = -frustum.points[i];
  frustum.angle = -frustum.angle;
  box.x = -box.x;
  box.heading = M_PI - box.heading;
}

}  // namespace backfire::detection
