#pragma once

#include <cstdint>
#include <vector>

namespace backfire::detection {

/// A box is 7 floats: x, y, z of the bottom's centre, height, width, length (metres, rectified
/// camera frame), rotation_y (radians; at 0 the length lies along +x). Several are rows.
inline constexpr int64_t kBoxColumns = 7;

/// Area that two boxes' footprints share, square metres.
double FootprintOverlap(const float* a, const float* b);
/// Intersection over union of the footprints, and of the boxes; 0 for boxes without extent.
double FootprintIou(const float* a, const float* b);
double BoxIou(const float* a, const float* b);

/// Non-maximum suppression of boxes that come surest first: keeps a box unless its overlap with one
/// kept before is larger than `threshold`; stops at `limit`. Returns which are kept, in order.
/// Boxes that are not finite are dropped.
std::vector<int64_t> SuppressRotated(const float* boxes, int64_t count, double threshold,
                                     int64_t limit);
/// The same with the overlap of the axis-aligned rectangles x +- length / 2, z +- width / 2, which
/// ignore the heading: the "normal" suppression of PointRCNN's proposals.
std::vector<int64_t> SuppressAligned(const float* boxes, int64_t count, float threshold,
                                     int64_t limit);

/// Points by coordinate, as searching boxes for points wants them.
struct PointColumns {
  /// @param xyz  [count, 3], metres.
  PointColumns(const float* xyz, int64_t count);
  std::vector<float> x, y, z;
};

/// Indices of the points inside a box, the surface included, in rising order: the first `limit`,
/// and in `count` (unless null) how many there are in all. Points more than `reach` (metres) from
/// the centre along x or z are outside.
std::vector<int64_t> PointsInBox(const PointColumns& points, const float* box, float reach,
                                 int64_t limit, int64_t* count);

}  // namespace backfire::detection
