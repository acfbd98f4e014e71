#include "services/metrics/iou.h"

#include <algorithm>
#include <cmath>

#include "services/metrics/footprint.h"

namespace backfire::metrics {
namespace {

// Boxes that carry KITTI's placeholders (-1, -1000) are no boxes, unlike in its evaluator.
double FootprintIntersection(const Box3d& a, const Box3d& b) {
  if (!(a.length > 0 && a.width > 0 && b.length > 0 && b.width > 0)) return 0;
  // Most pairs are far apart.
  const double distance = std::hypot(a.x - b.x, a.z - b.z);
  if (!(distance < (std::hypot(a.length, a.width) + std::hypot(b.length, b.width)) / 2)) return 0;
  return CommonArea(FootprintOf(a), FootprintOf(b));
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
