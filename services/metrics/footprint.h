#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::metrics {

/// A box seen from above: a rectangle on the ground plane (camera x and z, metres), with the sine
/// and cosine that intersecting it takes.
struct Footprint {
  double x = 0, z = 0;
  double cos_yaw = 1, sin_yaw = 0;
  double half_length = 0, half_width = 0;  ///< >= 0.
};

/// The footprint of a box. Length and width of one sign only make a rectangle (KITTI's evaluator
/// takes -1 x -1, its placeholder, for 1 x 1); any other box has none: half extents of 0.
Footprint FootprintOf(const Box3d& box);

namespace internal {

// Ternaries, which compilers turn into min, max and blend instructions.
inline double Clamp(double value, double bound) {
  const double above = value < -bound ? -bound : value;
  return above > bound ? bound : above;
}

inline double ReciprocalOrZero(double value) {
  // Below this a reciprocal would overflow; the quotients are then not needed either.
  const bool usable = value > 1e-200 || value < -1e-200;
  return usable ? 1 / value : 0;
}

// Integral of clamp(z, -w, w) dx along the edge from (x0, z0) to (x1, z1), where x is clamped to
// [-l, l]. `per_x` is 1 / (x1 - x0).
inline double EdgeIntegral(double x0, double z0, double x1, double dz, double per_x, double l,
                           double w) {
  const double from_x = Clamp(x0, l), to_x = Clamp(x1, l);
  const double from_z = z0 + (from_x - x0) * per_x * dz;
  const double to_z = z0 + (to_x - x0) * per_x * dz;
  const double from = Clamp(from_z, w), to = Clamp(to_z, w);
  // Where z leaves the bound that it starts at, and reaches the one that it ends at, as parts of
  // the way: constant, then linear, then constant. Only their sum matters.
  const double per_z = ReciprocalOrZero(to_z - from_z);
  const double leaves = (from - from_z) * per_z, reaches = (to - from_z) * per_z;
  const double leaves_within = leaves > 1 ? 1 : (leaves < 0 ? 0 : leaves);
  const double reaches_within = reaches > 1 ? 1 : (reaches < 0 ? 0 : reaches);
  const double sum = leaves_within + reaches_within;
  return (to_x - from_x) * 0.5 * (from * sum + to * (2 - sum));
}

// The area common to a rectangle of half extents l, w about the origin, and one of half extents m,
// n about (x, z), turned by the yaw whose cosine and sine are given. Of a vertical line at x the
// common part is clamp(top) - clamp(bottom), so the area is the integral of clamp(z) dx around the
// outline of the second rectangle. No comparison decides what is computed: rounding moves the
// result by as little as itself, also for equal boxes, and many pairs go through vector registers.
inline double CommonArea(double l, double w, double x, double z, double cos_yaw, double sin_yaw,
                         double m, double n) {
  // Half the length and half the width as vectors.
  const double ux = cos_yaw * m, uz = -sin_yaw * m;
  const double vx = sin_yaw * n, vz = cos_yaw * n;
  const double x0 = x + ux + vx, x1 = x + ux - vx, x2 = x - ux - vx, x3 = x - ux + vx;
  const double z0 = z + uz + vz, z1 = z + uz - vz, z2 = z - uz - vz, z3 = z - uz + vz;
  const double around = EdgeIntegral(x0, z0, x1, z1 - z0, ReciprocalOrZero(x1 - x0), l, w) +
                        EdgeIntegral(x1, z1, x2, z2 - z1, ReciprocalOrZero(x2 - x1), l, w) +
                        EdgeIntegral(x2, z2, x3, z3 - z2, ReciprocalOrZero(x3 - x2), l, w) +
                        EdgeIntegral(x3, z3, x0, z0 - z3, ReciprocalOrZero(x0 - x3), l, w);
  const double area = around < 0 ? -around : around;
  const double first = 4 * l * w, second = 4 * m * n;
  const double smaller = first < second ? first : second;
  // Rounding makes no intersection larger than what it is part of, nor any out of nothing.
  const double bounded = area > smaller ? smaller : area;
  return bounded > 1e-13 * (first + second) ? bounded : 0;
}

}  // namespace internal

/// Returns the area that both cover, square metres: exact but for rounding, which stays relative to
/// the boxes' size wherever they are.
inline double CommonArea(const Footprint& a, const Footprint& b) {
  const double dx = b.x - a.x, dz = b.z - a.z;
  return internal::CommonArea(
      a.half_length, a.half_width, a.cos_yaw * dx - a.sin_yaw * dz, a.sin_yaw * dx + a.cos_yaw * dz,
      a.cos_yaw * b.cos_yaw + a.sin_yaw * b.sin_yaw, a.cos_yaw * b.sin_yaw - a.sin_yaw * b.cos_yaw,
      b.half_length, b.half_width);
}

/// Many footprints, an array per attribute, so that one can be intersected with all of them at the
/// speed of vector instructions.
class Footprints {
 public:
  void Clear();
  void Add(const Footprint& footprint);
  size_t size() const { return x_.size(); }
  /// Sets areas[i] to CommonArea(one, i-th), bit for bit; `areas` is resized.
  void CommonAreas(const Footprint& one, std::vector<double>& areas) const;

 private:
  std::vector<double> x_, z_, cos_yaw_, sin_yaw_, half_length_, half_width_;
};

}  // namespace backfire::metrics
