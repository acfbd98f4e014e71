#include "orchestrator/verdict/looks.h"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace backfire::verdict {
namespace {

// Beyond these no probability is left, to 1e-15.
constexpr double kFar = 8;

double UpperNormal(double x) { return std::erfc(x / std::sqrt(2.0)) / 2; }

double UpperNormalQuantile(double p) {
  return boost::math::quantile(boost::math::complement(boost::math::normal(), p));
}

double Density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }

// Probability that a Brownian motion B, with B(t) / sqrt(t) at each look's t, stays below all
// bounds but the last and reaches that. `from` is where it was at time `since`, at the look before
// `look`.
double Crossing(const std::vector<double>& fractions, const std::vector<double>& bounds,
                size_t look, double from, double since) {
  const double time = fractions[look], deviation = std::sqrt(time - since);
  const double bound = bounds[look] * std::sqrt(time);
  if (look + 1 == bounds.size()) {
    if (deviation == 0) return from >= bound ? 1 : 0;
    return UpperNormal((bound - from) / deviation);
  }
  if (deviation == 0) {
    return from < bound ? Crossing(fractions, bounds, look + 1, from, time) : 0;
  }
  const double high = std::min((bound - from) / deviation, kFar);
  if (high <= -kFar) return 0;
  const auto integrand = [&](double x) {
    return Density(x) * Crossing(fractions, bounds, look + 1, from + deviation * x, time);
  };
  // The integrand is narrow where little information is new: in two panels, the upper one short.
  const double middle = std::max(high - 2, -kFar);
  using Rule = boost::math::quadrature::gauss<double, 15>;
  return Rule::integrate(integrand, -kFar, middle) + Rule::integrate(integrand, middle, high);
}

}  // namespace

double SpentAlpha(double alpha, double fraction) {
  return 2 * UpperNormal(UpperNormalQuantile(alpha / 2) / std::sqrt(fraction));
}

Looks::Looks(std::vector<double> fractions) : fractions_(std::move(fractions)) {}

double Looks::Level(double alpha) const {
  if (fractions_.size() == 1 && fractions_[0] == 1) return alpha;
  std::vector<double> bounds;
  double spent = 0;
  for (const double fraction : fractions_) {
    const double spend = SpentAlpha(alpha, fraction) - spent;
    spent += spend;
    bounds.push_back(0);
    const auto excess = [&](double bound) {
      bounds.back() = bound;
      return Crossing(fractions_, bounds, 0, 0, 0) - spend;
    };
    // Never further out than Bonferroni's bound, nor nearer than if nothing had been spent.
    double low = UpperNormalQuantile(spent);
    double high = spend > 0 ? UpperNormalQuantile(spend) : kFar;
    if (excess(low) <= 0) {
      high = low;  // Nothing is new at this look, and what was not found before is not found now.
    } else if (excess(high) >= 0) {
      low = high;
    } else {
      std::uintmax_t most_steps = 100;
      const auto [below, above] = boost::math::tools::toms748_solve(
          excess, low, high, boost::math::tools::eps_tolerance<double>(40), most_steps);
      low = below;
      high = above;
    }
    bounds.back() = (low + high) / 2;
  }
  return UpperNormal(bounds.back());
}

double Looks::Overall(double p) const {
  if (fractions_.size() == 1 && fractions_[0] == 1) return p;
  constexpr double kLeast = 1e-12, kMost = 0.5;
  if (!(p > Level(kLeast))) return kLeast;
  if (p >= Level(kMost - 1e-9)) return kMost;
  std::uintmax_t most_steps = 100;
  const auto [below, above] = boost::math::tools::toms748_solve(
      [&](double log_alpha) { return std::log(Level(std::exp(log_alpha)) / p); }, std::log(kLeast),
      std::log(kMost - 1e-9), boost::math::tools::eps_tolerance<double>(30), most_steps);
  return std::exp((below + above) / 2);
}

}  // namespace backfire::verdict
