#pragma once

#include <vector>

namespace backfire::planar {

/// A point of the plane.
struct Position {
  double x = 0;
  double y = 0;
};

inline bool operator==(Position a, Position b) { return a.x == b.x && a.y == b.y; }
double Distance(Position a, Position b);

/// Twice the signed area of a triangle: > 0 if a, b, c run counter-clockwise.
double Cross(Position a, Position b, Position c);
/// Signed area of a polygon: > 0 if it runs counter-clockwise.
double Area(const std::vector<Position>& polygon);
/// Whether a polygon turns only one way, and encloses something.
bool IsConvex(const std::vector<Position>& polygon);
/// Whether a point is inside a simple polygon; points on the border may count either way.
bool Contains(const std::vector<Position>& polygon, Position point);

/// The part of a convex polygon where `values`, given at its corners and linear along its edges, is
/// > 0; empty if there is none.
std::vector<Position> ClipPositive(const std::vector<Position>& polygon,
                                   const std::vector<double>& values);
/// The part of a convex polygon inside another, which runs counter-clockwise.
std::vector<Position> Intersect(std::vector<Position> polygon, const std::vector<Position>& window);

}  // namespace backfire::planar
