#include "services/metrics/iou.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace backfire::metrics {
namespace {

struct Point {
  double x, z;
};

// A convex quadrilateral clipped by four half-planes has at most eight corners.
struct Polygon {
  std::array<Point, 8> corners;
  int size = 0;
};

// Keeps what has sign * coordinate <= limit (Sutherland and Hodgman, 1974).
Polygon Clip(const Polygon& polygon, bool along_x, double sign, double limit) {
  const auto excess = [&](const Point& point) {
    return sign * (along_x ? point.x : point.z) - limit;
  };
  Polygon kept;
  for (int i = 0; i < polygon.size; ++i) {
    const Point& from = polygon.corners[i];
    const Point& to = polygon.corners[(i + 1) % polygon.size];
    const double from_excess = excess(from);
    const double to_excess = excess(to);
    if (from_excess <= 0 && kept.size < 8) kept.corners[kept.size++] = from;
    if ((from_excess < 0 && to_excess > 0) || (from_excess > 0 && to_excess < 0)) {
      const double t = from_excess / (from_excess - to_excess);
      if (kept.size < 8) {
        kept.corners[kept.size++] = {from.x + t * (to.x - from.x), from.z + t * (to.z - from.z)};
      }
    }
  }
  return kept;
}

double Area(const Polygon& polygon) {
  double twice = 0;
  for (int i = 0; i < polygon.size; ++i) {
    const Point& from = polygon.corners[i];
    const Point& to = polygon.corners[(i + 1) % polygon.size];
    twice += from.x * to.z - to.x * from.z;
  }
  return std::abs(twice) / 2;
}

bool HasFootprint(const Box3d& box) { return box.length > 0 && box.width > 0; }

// Area that both footprints cover, square metres.
double FootprintIntersection(const Box3d& a, const Box3d& b) {
  if (!HasFootprint(a) || !HasFootprint(b)) return 0;
  const double distance = std::hypot(a.x - b.x, a.z - b.z);
  if (!(distance < (std::hypot(a.length, a.width) + std::hypot(b.length, b.width)) / 2)) return 0;
  // In a's own frame, where a is axis-aligned about the origin: clipping is exact and precision
  // does not depend on how far the boxes are from the camera. A yaw of r takes the local (l, w) to
  // (cos r l + sin r w, -sin r l + cos r w).
  const double cos_a = std::cos(a.rotation_y), sin_a = std::sin(a.rotation_y);
  const double dx = b.x - a.x, dz = b.z - a.z;
  const double centre_x = cos_a * dx - sin_a * dz;
  const double centre_z = sin_a * dx + cos_a * dz;
  const double yaw = b.rotation_y - a.rotation_y;
  const double cos_b = std::cos(yaw), sin_b = std::sin(yaw);
  Polygon polygon;
  polygon.size = 4;
  constexpr std::array<std::array<int, 2>, 4> kSigns = {{{1, 1}, {1, -1}, {-1, -1}, {-1, 1}}};
  for (int i = 0; i < 4; ++i) {
    const double l = kSigns[i][0] * b.length / 2, w = kSigns[i][1] * b.width / 2;
    polygon.corners[i] = {centre_x + cos_b * l + sin_b * w, centre_z - sin_b * l + cos_b * w};
  }
  for (const double sign : {1.0, -1.0}) {
    polygon = Clip(polygon, /*along_x=*/true, sign, a.length / 2);
    polygon = Clip(polygon, /*along_x=*/false, sign, a.width / 2);
  }
  // Rounding must not make an intersection larger than what it is part of.
  return std::min({Area(polygon), a.length * a.width, b.length * b.width});
}

}  // namespace

double Iou2d(const Box2d& a, const Box2d& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (!(width > 0) || !(height > 0)) return 0;
  const double intersection = width * height;
  return intersection / (a.width() * a.height() + b.width() * b.height() - intersection);
}

double IouBirdsEye(const Box3d& a, const Box3d& b) {
  const double intersection = FootprintIntersection(a, b);
  if (!(intersection > 0)) return 0;
  return intersection / (a.length * a.width + b.length * b.width - intersection);
}

double Iou3d(const Box3d& a, const Box3d& b) {
  // y points down: a box reaches from y - height (its top) to y.
  const double common_height = std::min(a.y, b.y) - std::max(a.y - a.height, b.y - b.height);
  if (!(common_height > 0)) return 0;
  const double intersection = FootprintIntersection(a, b) * common_height;
  if (!(intersection > 0)) return 0;
  return intersection /
         (a.length * a.width * a.height + b.length * b.width * b.height - intersection);
}

}  // namespace backfire::metrics
