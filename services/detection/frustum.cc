#include "services/detection/frustum.h"

#include <algorithm>
#include <cmath>

namespace backfire::detection {
namespace {

constexpr float kNearestM = 0.1f;
constexpr double kCentreDepthM = 20;
constexpr double kHeldM = 15;

// Turns (x, z) so that what was at `angle` from straight ahead is straight ahead.
void Turn(double angle, double& x, double& z) {
  const double c = std::cos(angle), s = std::sin(angle);
  const double turned_x = c * x - s * z;
  z = s * x + c * z;
  x = turned_x;
}

}  // namespace

std::vector<ProjectedPoint> Project(const PointCloudView& points,
                                    const datasets::StereoCalibration& calibration) {
  const double f_x = calibration.left[0], f_y = calibration.left[5];
  const double offset_x = calibration.left_offset_x_m(), offset_y = calibration.left_offset_y_m();
  std::vector<ProjectedPoint> projected;
  projected.reserve(static_cast<size_t>(points.count));
  for (int64_t i = 0; i < points.count; ++i) {
    const float* p = points.point(i);
    if (!(p[2] > kNearestM)) continue;
    const double u = (p[0] - offset_x) * f_x / p[2] + calibration.centre_x_px();
    const double v = (p[1] - offset_y) * f_y / p[2] + calibration.centre_y_px();
    projected.push_back({p[0], p[1], p[2], points.columns > 3 ? p[3] : 1, static_cast<float>(u),
                         static_cast<float>(v)});
  }
  return projected;
}

double FrustumAngle(const metrics::Box2d& box, const datasets::StereoCalibration& calibration) {
  const double u = (box.left + box.right) / 2;
  const double x = (u - calibration.centre_x_px()) * kCentreDepthM / calibration.focal_length_px() +
                   calibration.left_offset_x_m();
  return std::atan2(x, kCentreDepthM);
}

Frustum CutFrustum(const std::vector<ProjectedPoint>& points, const metrics::Box2d& box,
                   double angle, const FrustumOptions& options, Random& random,
                   int64_t min_points) {
  std::vector<const ProjectedPoint*> inside;
  for (const ProjectedPoint& p : points) {
    if (p.u >= box.left && p.u <= box.right && p.v >= box.top && p.v <= box.bottom) {
      inside.push_back(&p);
    }
  }
  Frustum frustum;
  frustum.angle = angle;
  const auto available = static_cast<int64_t>(inside.size());
  if (available < std::max<int64_t>(min_points, 1)) return frustum;
  std::vector<double> depths;
  frustum.points.reserve(static_cast<size_t>(4 * options.points));
  for (int64_t i = 0; i < options.points; ++i) {
    // A partial Fisher-Yates shuffle.
    if (i < available) {
      std::swap(inside[static_cast<size_t>(i)],
                inside[static_cast<size_t>(i + random.Below(available - i))]);
    }
    const ProjectedPoint& p =
        *inside[static_cast<size_t>(i < available ? i : random.Below(available))];
    double x = p.x, z = p.z;
    Turn(angle, x, z);
    depths.push_back(z);
    frustum.points.insert(frustum.points.end(),
                          {static_cast<float>(x), p.y, static_cast<float>(z), p.intensity});
  }
  if (!options.relative_depth) return frustum;
  const auto middle = depths.begin() + static_cast<std::ptrdiff_t>(depths.size() / 2);
  std::nth_element(depths.begin(), middle, depths.end());
  frustum.depth_m = *middle;
  for (size_t i = 0; i < frustum.points.size(); i += 4) {
    const double z = frustum.points[i + 2] - frustum.depth_m;
    frustum.points[i + 2] = static_cast<float>(std::clamp(z, -kHeldM, kHeldM));
    frustum.points[i + 3] = static_cast<float>(frustum.depth_m / kCentreDepthM);
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
  for (size_t i = 0; i < frustum.points.size(); i += 4) frustum.points[i] = -frustum.points[i];
  frustum.angle = -frustum.angle;
  box.x = -box.x;
  box.heading = M_PI - box.heading;
}

void ShiftDepth(double shift_m, Frustum& frustum, FrustumBox& box) {
  for (size_t i = 2; i < frustum.points.size(); i += 4) {
    frustum.points[i] += static_cast<float>(shift_m);
  }
  box.z += shift_m;
}

}  // namespace backfire::detection
