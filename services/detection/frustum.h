#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/calibration.h"
#include "services/detection/detector_inputs.h"
#include "services/metrics/object.h"

namespace backfire::detection {

/// A point of a cloud with the pixel of the left image that it projects to.
struct ProjectedPoint {
  float x = 0, y = 0, z = 0, intensity = 1;  ///< Metres, rectified camera-0 frame; [0, 1].
  float u = 0, v = 0;                        ///< Pixels.
};

/// The points before the camera. Clouds without intensity get 1, as pseudo-LiDAR's authors have it.
std::vector<ProjectedPoint> Project(const PointCloudView& points,
                                    const datasets::StereoCalibration& calibration);

/// How points are given to the network.
struct FrustumOptions {
  int64_t points = 1024;  ///< Of each frustum; drawn again where a frustum has fewer.
  /// False: as published, z in the camera's frame, and the fourth channel is the intensity. True: z
  /// is relative to the frustum's median depth and held to 15 m, and the fourth channel is that
  /// depth over 20 m. It spares a network that sees few examples from learning what depth is.
  bool relative_depth = false;
};

/// Points that project into a 2D box, turned about the vertical so that the box's centre lies
/// straight ahead: what a network sees does not depend on where in the image an object is.
struct Frustum {
  double angle = 0;           ///< Radians about y that the box's centre was off straight ahead.
  double depth_m = 0;         ///< What z is relative to.
  std::vector<float> points;  ///< [count, 4], metres: right, down, forward; the fourth channel.
  int64_t size() const { return static_cast<int64_t>(points.size()) / 4; }
  const float* point(int64_t i) const { return points.data() + 4 * i; }
};

/// Direction of a 2D box's centre, radians to the right of straight ahead: of the point 20 m deep
/// that projects there, as published.
double FrustumAngle(const metrics::Box2d& box, const datasets::StereoCalibration& calibration);

/// Cuts the frustum of a box: `options.points` points, drawn without replacement while there are
/// enough, then again and again; none where fewer than `min_points` project into the box.
Frustum CutFrustum(const std::vector<ProjectedPoint>& points, const metrics::Box2d& box,
                   double angle, const FrustumOptions& options, Random& random,
                   int64_t min_points = 1);

/// A 3D box as a frustum's network sees it: geometric centre (not bottom), turned.
struct FrustumBox {
  double x = 0, y = 0, z = 0;
  double height = 0, width = 0, length = 0;
  double heading = 0;  ///< rotation_y minus the frustum's angle.
};
FrustumBox ToFrustum(const metrics::Box3d& box, const Frustum& frustum);
metrics::Box3d FromFrustum(const FrustumBox& box, const Frustum& frustum);

/// Whether a point of a frustum lies in a box.
bool Inside(const FrustumBox& box, const float* point);

/// Mirrors left and right.
void Mirror(Frustum& frustum, FrustumBox& box);

/// Moves points and box forward or back.
void ShiftDepth(double shift_m, Frustum& frustum, FrustumBox& box);

}  // namespace backfire::detection
