#pragma once

#include <array>
#include <vector>

#include "services/metrics/matching_rules.h"

namespace backfire::benchmarks {

/// The flow of the official KITTI tool, plainly written down a second time, as what a faster
/// evaluator is measured and checked against where that tool is not at hand: for each class, view
/// and difficulty, every frame is matched anew at every threshold, and every match intersects and
/// unites the polygons (Boost.Geometry) of each pair of boxes again. One thread.
/// @return  41 precisions, after the running maximum.
std::array<double, 41> ReferencePrecision(const std::vector<metrics::ImageObjects>& frames,
                                          const metrics::AveragePrecisionOptions& rules);

/// Intersection over union of two boxes' footprints, by Boost.Geometry.
double ReferenceIouBirdsEye(const metrics::Box3d& a, const metrics::Box3d& b);

}  // namespace backfire::benchmarks
