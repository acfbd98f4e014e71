#include "orchestrator/verdict/statistics.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

namespace backfire::verdict {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Unbiased; 0 for fewer than two values.
double Variance(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double mean = Mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

}  // namespace

Difference EstimateDifference(const std::vector<LossSample>& before,
                              const std::vector<LossSample>& after, int64_t examples) {
  const size_t replicates = before.size();
  const double k = static_cast<double>(replicates);
  std::vector<double> differences;
  for (size_t i = 0; i < replicates; ++i) {
    differences.push_back(after[i].value - before[i].value);
  }
  Difference difference;
  std::vector<double> resampled;
  const size_t resamples = before[0].resampled.size();
  bool paired = true;
  for (size_t i = 0; i < replicates; ++i) {
    paired =
        paired && before[i].resampled.size() == resamples && after[i].resampled.size() == resamples;
  }
  for (size_t b = 0; paired && b < resamples; ++b) {
    double sum = 0;
    for (size_t i = 0; i < replicates; ++i) {
      sum += after[i].resampled[b] - before[i].resampled[b];
    }
    // A resample on which a loss is undefined says nothing.
    if (std::isfinite(sum)) {
      resampled.push_back(sum / k);
    } else {
      ++difference.undefined_resamples;
    }
  }

  difference.mean = Mean(differences);
  // All resamples of one example are that example: they would say that nothing varies.
  const bool has_example_error =
      examples >= 2 && resampled.size() >= 2 && 2 * resampled.size() >= resamples;
  const double from_examples = has_example_error ? Variance(resampled) : kNan;
  difference.example_error = std::sqrt(from_examples);
  difference.no_training_noise =
      replicates > 1 && std::all_of(differences.begin(), differences.end(),
                                    [&](double d) { return d == differences[0]; });
  difference.identical = true;
  for (size_t i = 0; i < replicates; ++i) {
    difference.identical = difference.identical && before[i].value == after[i].value &&
                           before[i].resampled == after[i].resampled;
  }
  if (replicates < 2 || !std::isfinite(difference.mean) || !has_example_error) {
    difference.standard_error = kNan;
    difference.degrees_of_freedom = kNan;
    return difference;
  }
  const double from_training = Variance(differences) / k;
  const double total = from_training + from_examples;
  if (!std::isfinite(total)) {  // Losses so large that their squares are not numbers.
    difference.standard_error = kNan;
    difference.degrees_of_freedom = kNan;
    return difference;
  }
  difference.standard_error = std::sqrt(total);
  difference.degrees_of_freedom = k - 1;
  if (total > 0) {
    // By shares of the total, as squares of variances may be no numbers where these are.
    const double training = from_training / total, example = from_examples / total;
    const double example_freedom = static_cast<double>(std::max<int64_t>(examples - 1, 1));
    difference.degrees_of_freedom =
        1 / (training * training / (k - 1) + example * example / example_freedom);
  }
  return difference;
}

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

std::vector<double> HolmAdjusted(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto rank = [&](size_t i) { return std::isnan(p_values[i]) ? 2.0 : p_values[i]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rank(a) < rank(b); });
  std::vector<double> adjusted(p_values.size(), kNan);
  double running = 0;
  for (size_t position = 0; position < order.size(); ++position) {
    const size_t i = order[position];
    if (std::isnan(p_values[i])) continue;
    running = std::max(running, static_cast<double>(order.size() - position) * p_values[i]);
    adjusted[i] = std::min(running, 1.0);
  }
  return adjusted;
}

}  // namespace backfire::verdict
