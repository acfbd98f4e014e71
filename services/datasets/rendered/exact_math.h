#pragma once

#include <array>
#include <cmath>

#include "services/base/random.h"

namespace backfire::datasets {

/// Mathematics that gives the same bits on any machine: sums, products and square roots only, which
/// IEEE 754 rounds exactly. The C library's sine or logarithm differs in its last bit between
/// processors, and one bit can move an edge by a pixel. Compiled without contraction to fused
/// multiply-add (see CMakeLists.txt), as all of this folder is.

inline constexpr double kPi = 3.14159265358979323846;

struct Vector3 {
  double x = 0, y = 0, z = 0;
};

inline Vector3 operator+(const Vector3& a, const Vector3& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
inline Vector3 operator-(const Vector3& a, const Vector3& b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
inline Vector3 operator*(double s, const Vector3& a) { return {s * a.x, s * a.y, s * a.z}; }
inline double Dot(const Vector3& a, const Vector3& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vector3 Cross(const Vector3& a, const Vector3& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline double Length(const Vector3& a) { return std::sqrt(Dot(a, a)); }
/// A vector of length 1; the zero vector stays.
inline Vector3 Unit(const Vector3& a) {
  const double length = Length(a);
  return length > 0 ? (1 / length) * a : a;
}

/// Sine and cosine to 1e-10, for angles within some thousand turns.
double ExactSine(double radians);
double ExactCosine(double radians);
/// The angle in [-pi, pi].
double WrapAngle(double radians);
/// Approximately standard normal, within [-6, 6]: the sum of twelve uniform numbers.
double BellCurve(Random& random);
/// A number with these deciles (0 %, 10 % ... 100 %), linear in between.
double FromDeciles(const std::array<double, 11>& deciles, double uniform);

}  // namespace backfire::datasets
