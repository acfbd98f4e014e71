#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/detection/detector_inputs.h"

namespace backfire::detection {

/// What the network sees of a cloud.
struct CloudOptions {
  int64_t points = 16384;    ///< Exactly so many, unless there is none.
  bool angular_map = false;  ///< First at most one point for each of 64 x 512 directions.
  double max_depth_m = 70.4;
};

/// The points [n, 3] within PointRCNN's range: |x| <= 40, -1 <= y <= 3, 0 <= z <= max_depth_m,
/// metres; with `angular_map`, thinned as a LiDAR sees the scene: of each cell of a grid of 64
/// elevations (2 to -24.8 degrees) and 512 azimuths (-45 to 45 degrees), the point nearest to the
/// cell's middle direction. In the cloud's order.
std::vector<float> PointsInRange(const PointCloudView& cloud, const CloudOptions& options);

/// Exactly `count` of the points, in random order. Where there are more, all with z >= 40 stay (as
/// long as they fit) and the nearer ones are drawn without replacement; where there are fewer, all
/// stay, and again as often as needed. None of none.
std::vector<float> SamplePoints(const std::vector<float>& points, int64_t count, Random& random);

}  // namespace backfire::detection
