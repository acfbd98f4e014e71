#include "services/planar/geometry.h"

#include <cmath>
#include <cstddef>

namespace backfire::planar {

double Distance(Position a, Position b) { return std::hypot(a.x - b.x, a.y - b.y); }

double Cross(Position a, Position b, Position c) {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

double Area(const std::vector<Position>& polygon) {
  double twice = 0;
  for (size_t i = 2; i < polygon.size(); ++i) {
    twice += Cross(polygon[0], polygon[i - 1], polygon[i]);
  }
  return twice / 2;
}

bool IsConvex(const std::vector<Position>& polygon) {
  const size_t n = polygon.size();
  const double area = Area(polygon);
  if (n < 3 || !(std::abs(area) > 0)) return false;
  for (size_t i = 0; i < n; ++i) {
    if (Cross(polygon[i], polygon[(i + 1) % n], polygon[(i + 2) % n]) * area < 0) return false;
  }
  return true;
}

bool Contains(const std::vector<Position>& polygon, Position point) {
  bool inside = false;
  for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Position a = polygon[i], b = polygon[j];
    if ((a.y > point.y) == (b.y > point.y)) continue;
    if (point.x < (b.x - a.x) * (point.y - a.y) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

std::vector<Position> ClipPositive(const std::vector<Position>& polygon,
                                   const std::vector<double>& values) {
  std::vector<Position> kept;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const size_t next = (i + 1) % polygon.size();
    if (values[i] > 0) kept.push_back(polygon[i]);
    if ((values[i] > 0) == (values[next] > 0)) continue;
    const double t = values[i] / (values[i] - values[next]);
    kept.push_back({polygon[i].x + t * (polygon[next].x - polygon[i].x),
                    polygon[i].y + t * (polygon[next].y - polygon[i].y)});
  }
  return kept;
}

std::vector<Position> Intersect(std::vector<Position> polygon,
                                const std::vector<Position>& window) {
  std::vector<double> values;
  for (size_t i = 0; i < window.size() && !polygon.empty(); ++i) {
    values.clear();
    for (const Position corner : polygon) {
      values.push_back(Cross(window[i], window[(i + 1) % window.size()], corner));
    }
    polygon = ClipPositive(polygon, values);
  }
  return polygon;
}

}  // namespace backfire::planar
