#include "orchestrator/verdict/sensitivity.h"

#include <algorithm>
#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace backfire::verdict {
namespace {

double Power(double effect, double critical, double degrees_of_freedom) {
  // Boost's noncentral t leaves no room between 0 and the least effect that matters.
  if (effect == 0) return StudentUpperTail(critical, degrees_of_freedom);
  return boost::math::cdf(
      boost::math::complement(boost::math::non_central_t(degrees_of_freedom, effect), critical));
}

// Degrees of freedom of the Student's t whose upper quantile is `critical` too.
double EquivalentFreedom(double critical, double level) {
  constexpr double kNormal = 1e6;
  if (StudentQuantile(1 - level, kNormal) >= critical) return kNormal;
  double low = 1;
  while (StudentQuantile(1 - level, low) < critical) low /= 2;
  const auto [below, above] = boost::math::tools::bisect(
      [&](double log_freedom) {
        return StudentQuantile(1 - level, std::exp(log_freedom)) - critical;
      },
      std::log(low), std::log(kNormal), boost::math::tools::eps_tolerance<double>(30));
  return std::exp((below + above) / 2);
}

}  // namespace

double DetectableEffect(double alpha, double power, double degrees_of_freedom) {
  const double critical = StudentQuantile(1 - alpha, degrees_of_freedom);
  // Noncentral t is normal by then, and Boost's series is slow.
  constexpr double kManyDegrees = 1e5;
  if (degrees_of_freedom > kManyDegrees) {
    return critical + StudentQuantile(power, std::numeric_limits<double>::infinity());
  }
  double high = 2 * (critical + StudentQuantile(power, degrees_of_freedom)) + 1;
  while (Power(high, critical, degrees_of_freedom) < power) high *= 2;
  const auto [below, above] = boost::math::tools::bisect(
      [&](double effect) { return Power(effect, critical, degrees_of_freedom) - power; }, 0.0, high,
      boost::math::tools::eps_tolerance<double>(30));
  return (below + above) / 2;
}

v1::Sensitivity EstimateSensitivity(const LossEvidence& loss, int replicates, double alpha,
                                    int family) {
  v1::Sensitivity sensitivity;
  sensitivity.set_vertex(loss.vertex);
  sensitivity.set_loss(loss.loss);
  sensitivity.set_slice(loss.slice);
  sensitivity.set_unit(loss.unit);
  sensitivity.set_candidate(loss.candidate);
  sensitivity.set_before(MeanLoss(loss.before));
  sensitivity.set_margin(EffectiveMargin(loss));
  sensitivity.set_standard_error(kNan);
  sensitivity.set_detectable_harm(kNan);
  sensitivity.set_margin_needed(kNan);
  const size_t count = loss.before.size();
  if (count < 2) {
    sensitivity.set_note("one baseline replicate says nothing of training");
    return sensitivity;
  }
  // Every pair of replicates is what an update without effect would compare.
  double squared_error = 0, example_variance = 0, example_freedom = 1, pairs = 0;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) {
      const Difference pair = EstimateDifference({loss.before[i]}, {loss.before[j]}, loss.size);
      squared_error += pair.mean * pair.mean;
      example_variance += pair.example_variance;
      example_freedom = pair.example_freedom;
      ++pairs;
    }
  }
  const double k = replicates;
  // The mean square of the pairs' differences is 2 S^2.
  const double from_training = squared_error / pairs / k;
  const double from_examples = std::max(example_variance / pairs / k - from_training, 0.0);
  Difference difference;
  difference.training_variance = from_training;
  difference.example_variance = example_variance;
  if (!difference.has_error()) {
    sensitivity.set_note("undefined on this test split, or without resamples of it");
    return sensitivity;
  }
  const double error = std::sqrt(from_training + from_examples);
  sensitivity.set_standard_error(error);
  if (error == 0) {
    sensitivity.set_detectable_harm(sensitivity.margin());
    sensitivity.set_margin_needed(0);
    sensitivity.set_note("no training noise: any change an update makes is its own");
    return sensitivity;
  }
  const BehrensFisher distribution(from_training, std::max(k - 1, 1.0), from_examples,
                                   example_freedom);
  const auto found = [&](double level) {
    const double freedom = EquivalentFreedom(distribution.UpperQuantile(level) / error, level);
    sensitivity.set_degrees_of_freedom(freedom);
    return DetectableEffect(level, kPower, freedom) * error;
  };
  sensitivity.set_margin_needed(found(alpha));
  sensitivity.set_detectable_harm(sensitivity.margin() + found(alpha / family));
  if (sensitivity.margin() < sensitivity.margin_needed()) {
    sensitivity.set_note("the margin is too narrow for SAFE to be likely, even without any change");
  }
  return sensitivity;
}

}  // namespace backfire::verdict
