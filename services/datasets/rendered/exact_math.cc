#include "services/datasets/rendered/exact_math.h"

#include <algorithm>

namespace backfire::datasets {

double WrapAngle(double radians) {
  const double turns = std::floor(radians / (2 * kPi) + 0.5);
  return radians - turns * (2 * kPi);
}

double ExactSine(double radians) {
  double x = WrapAngle(radians);
  if (x > kPi / 2) x = kPi - x;
  if (x < -kPi / 2) x = -kPi - x;
  // Taylor's series: the first term left out is below 1e-11 for |x| <= pi / 2.
  const double s = x * x;
  double sum = 1.0 / 355687428096000.0;
  for (const double divisor :
       {-1307674368000.0, 6227020800.0, -39916800.0, 362880.0, -5040.0, 120.0, -6.0, 1.0}) {
    sum = sum * s + 1 / divisor;
  }
  return x * sum;
}

double ExactCosine(double radians) { return ExactSine(radians + kPi / 2); }

double BellCurve(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.Uniform();
  return sum;
}

double FromDeciles(const std::array<double, 11>& deciles, double uniform) {
  const double position = std::clamp(uniform, 0.0, 1.0) * 10;
  const auto index = std::min(static_cast<size_t>(position), size_t{9});
  const double t = position - static_cast<double>(index);
  return deciles[index] + t * (deciles[index + 1] - deciles[index]);
}

}  // namespace backfire::datasets
