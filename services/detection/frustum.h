#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/calibration.h"
#include "services/detection/detector_inputs.h"
#include "services/metrics/object.h"

namespace backfire::detection {

/// Points of a cloud that project into a 2D box, turned about the vertical so that the box's centre
/// lies straight ahead: what a network sees does not depend on where in the image an object is.
struct Frustum {
  double angle = 0;           ///< Radians about y that the box's centre was off straight ahead.
  double depth_m = 0;         ///< Median depth of the points; z below is relative to it.
  std::vector<float> points;  ///< [count, 3], metres: right, down, forward, after the turn.
  int64_t size() const { return static_cast<int64_t>(points.size()) / 3; }
};

/// @param points  Rectified camera-0 frame; finite.
/// @return  A frustum with exactly `sample_count` points, drawn with replacement where there are
///   fewer; an empty one where fewer than `min_points` project into the box.
Frustum ExtractFrustum(const PointCloudView& points, const datasets::StereoCalibration& calibration,
                       const metrics::Box2d& box, int64_t sample_count, int64_t min_points,
                       Random& random);

/// A 3D box as a frustum's network sees it: geometric centre (not bottom), relative to the median
/// depth, turned.
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

}  // namespace backfire::detection
