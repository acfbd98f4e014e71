#pragma once

#include "services/metrics/object.h"

namespace backfire::metrics {

/// Intersection over union of axis-aligned boxes in the image; 0 for empty ones.
double Iou2d(const Box2d& a, const Box2d& b);

/// Intersection over union of the boxes' footprints (length x width, rotated) on the ground plane:
/// bird's-eye view. Exact but for rounding, see footprint.h.
double IouBirdsEye(const Box3d& a, const Box3d& b);

/// Footprint intersection times common height over the union of volumes: KITTI's 3D overlap.
double Iou3d(const Box3d& a, const Box3d& b);

}  // namespace backfire::metrics
