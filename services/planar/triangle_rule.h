#pragma once

#include <cmath>

#include "services/planar/geometry.h"

namespace backfire::planar {

/// Gauss' rule of five nodes on [0, 1].
inline constexpr int kNodes = 5;
inline constexpr double kAbscissae[kNodes] = {0.046910077030668004, 0.23076534494715845, 0.5,
                                              0.76923465505284155, 0.953089922969332};
inline constexpr double kWeights[kNodes] = {0.118463442528094544, 0.239314335249683234,
                                            0.284444444444444444, 0.239314335249683234,
                                            0.118463442528094544};

/// Calls `visit` with the nodes of a rule on a triangle, which is exact for polynomials of degree
/// 8: the point, its barycentric weights of b and c, and its share of the area.
template <typename Visit>
void ForEachNode(Position a, Position b, Position c, const Visit& visit) {
  const double twice_area = std::abs(Cross(a, b, c));
  for (int i = 0; i < kNodes; ++i) {
    for (int j = 0; j < kNodes; ++j) {  // Duffy's map of the square to the triangle.
      const double u = kAbscissae[i], v = kAbscissae[j] * (1 - kAbscissae[i]);
      const Position point = {a.x + u * (b.x - a.x) + v * (c.x - a.x),
                              a.y + u * (b.y - a.y) + v * (c.y - a.y)};
      visit(point, u, v, twice_area * kWeights[i] * kWeights[j] * (1 - kAbscissae[i]));
    }
  }
}

}  // namespace backfire::planar
