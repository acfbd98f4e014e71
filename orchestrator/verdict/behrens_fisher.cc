#include "orchestrator/verdict/behrens_fisher.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace backfire::verdict {
namespace {

// Logarithm of the density of logit(s), s ~ Beta(f1 / 2, f2 / 2), but for a constant.
double LogWeight(double logit, double freedom1, double freedom2) {
  // log1p(exp(x)) without overflow.
  const auto softplus = [](double x) {
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
  };
  return -(freedom1 * softplus(-logit) + freedom2 * softplus(logit)) / 2;
}

// Twice as fast as in long double, and exact to rounding all the same.
using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;
using Students = boost::math::students_t_distribution<double, Policy>;

double Tail(double t, double freedom) {
  return boost::math::cdf(boost::math::complement(Students(freedom), t));
}

double Density(double t, double freedom) { return boost::math::pdf(Students(freedom), t); }

}  // namespace

double StudentQuantile(double probability, double degrees_of_freedom) {
  if (std::isinf(degrees_of_freedom)) {
    return boost::math::quantile(boost::math::normal(), probability);
  }
  return boost::math::quantile(boost::math::students_t(degrees_of_freedom), probability);
}

double StudentUpperTail(double t, double degrees_of_freedom) {
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  if (std::isinf(degrees_of_freedom)) {
    return boost::math::cdf(boost::math::complement(boost::math::normal(), t));
  }
  return boost::math::cdf(boost::math::complement(boost::math::students_t(degrees_of_freedom), t));
}

BehrensFisher::BehrensFisher(double variance1, double freedom1, double variance2, double freedom2) {
  least_scale_ = std::sqrt(std::max(variance1, variance2));
  if (variance1 == 0 || variance2 == 0) {
    freedom_ = variance2 == 0 ? freedom1 : freedom2;
    components_.push_back({1, least_scale_});
    return;
  }
  freedom_ = freedom1 + freedom2;
  // The trapezoidal rule's error is exp(-pi^2 / step) for a strip of half-width pi / 2, and
  // exp(-2 (pi deviation / step)^2) for a weight as narrow as its standard deviation.
  const double deviation = std::sqrt(2 / freedom1 + 2 / freedom2);
  const double step = std::min(0.25, 0.6 * deviation);
  constexpr double kNegligible = -40;  // exp(-40) = 4e-18.
  const double mode = std::log(freedom1 / freedom2);
  const double greatest = LogWeight(mode, freedom1, freedom2);
  double sum = 0;
  for (const int direction : {-1, 1}) {
    for (int i = direction > 0 ? 0 : 1;; ++i) {
      const double logit = mode + direction * i * step;
      const double log_weight = LogWeight(logit, freedom1, freedom2) - greatest;
      if (log_weight < kNegligible) break;
      const double squared = (variance1 * freedom1 * (1 + std::exp(-logit)) +
                              variance2 * freedom2 * (1 + std::exp(logit))) /
                             freedom_;
      components_.push_back({std::exp(log_weight), std::sqrt(squared)});
      sum += components_.back().weight;
    }
  }
  for (Component& component : components_) component.weight /= sum;
}

double BehrensFisher::UpperTail(double x) const {
  if (least_scale_ == 0) return x < 0 ? 1 : 0;
  if (std::isinf(x)) return x < 0 ? 1 : 0;
  if (x < 0) return 1 - UpperTail(-x);
  double tail = 0;
  for (const Component& component : components_) {
    tail += component.weight * Tail(x / component.scale, freedom_);
  }
  return tail;
}

double BehrensFisher::UpperQuantile(double probability) const {
  if (least_scale_ == 0 || probability == 0.5) return 0;
  if (probability > 0.5) return -UpperQuantile(1 - probability);
  // Of the logarithm of the tail over asinh(x), which is nearly linear far out.
  const double target = std::log(probability);
  const auto excess = [&](double y) {
    const double x = std::sinh(y) * least_scale_;
    double tail = 0, density = 0;
    for (const Component& component : components_) {
      const double t = x / component.scale;
      tail += component.weight * Tail(t, freedom_);
      density += component.weight * Density(t, freedom_) / component.scale;
    }
    tail = std::max(tail, std::numeric_limits<double>::min());
    return std::pair(std::log(tail) - target, -density * std::cosh(y) * least_scale_ / tail);
  };
  const double guess = std::asinh(-StudentQuantile(probability, freedom_));
  constexpr double kMost = 300;
  std::uintmax_t most_steps = 100;
  const double y =
      boost::math::tools::newton_raphson_iterate(excess, guess, 0.0, kMost, 46, most_steps);
  return std::sinh(y) * least_scale_;
}

}  // namespace backfire::verdict
