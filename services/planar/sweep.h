#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "services/planar/geometry.h"

namespace backfire::planar {

/// The half-plane normal * point > offset, and what it costs.
struct HalfPlaneCut {
  Position normal;
  double offset = 0;
  double cost = std::numeric_limits<double>::infinity();
};

/// Directions, as angles, of which at least one lies between any two at which lines through two of
/// the points run: with all of them, a sweep meets every split of the points by a line. Of very
/// many points, 2048 equally spaced ones instead.
std::vector<double> SweepDirections(const std::vector<Position>& points);

/// Finds the half-plane that costs least.
/// @param tally  Costs of an empty half-plane: `Add(i)` puts point i inside, `cost()` tells. Copied
///               for every direction.
template <typename Tally>
HalfPlaneCut BestHalfPlane(const std::vector<Position>& points, const std::vector<double>& angles,
                           const Tally& tally) {
  HalfPlaneCut best;
  std::vector<std::pair<double, size_t>> order(points.size());
  for (const double angle : angles) {
    const Position normal = {std::cos(angle), std::sin(angle)};
    for (size_t i = 0; i < points.size(); ++i) {
      order[i] = {-(normal.x * points[i].x + normal.y * points[i].y), i};  // Farthest first.
    }
    std::sort(order.begin(), order.end());
    Tally inside = tally;
    for (size_t k = 0; k <= order.size(); ++k) {
      const bool between = k == 0 || k == order.size() || order[k].first > order[k - 1].first;
      if (between && inside.cost() < best.cost) {
        best.cost = inside.cost();
        best.normal = normal;
        best.offset = k == 0              ? -order[0].first + 1
                      : k == order.size() ? -order[k - 1].first - 1
                                          : -(order[k].first + order[k - 1].first) / 2;
      }
      if (k < order.size()) inside.Add(order[k].second);
    }
  }
  return best;
}

}  // namespace backfire::planar
