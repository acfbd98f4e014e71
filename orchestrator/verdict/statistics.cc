#include "orchestrator/verdict/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace backfire::verdict {
namespace {

// Beyond, sums of variances times degrees of freedom and weights of Behrens and Fisher's mixture
// are no numbers. Losses are that large where a training diverged.
constexpr double kMostVariance = 1e250;

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Unbiased; 0 for fewer than two values, and for values that are equal within `rounding`.
double Variance(const std::vector<double>& values, double rounding) {
  if (values.size() < 2) return 0;
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (*greatest - *least <= rounding) return 0;
  const double mean = Mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

// after - before of each replicate, on the resamples that leave no loss undefined: [K][B].
struct ResampledDifferences {
  std::vector<std::vector<double>> of_replicate;
  std::vector<double> mean;
  int64_t undefined = 0;
};

ResampledDifferences PairResamples(const std::vector<LossSample>& before,
                                   const std::vector<LossSample>& after) {
  ResampledDifferences paired;
  const size_t replicates = before.size(), resamples = before[0].resampled.size();
  paired.of_replicate.resize(replicates);
  for (size_t k = 0; k < replicates; ++k) {
    const bool pairs =
        before[k].resampled.size() == resamples && after[k].resampled.size() == resamples;
    if (!pairs) return paired;
  }
  for (size_t b = 0; b < resamples; ++b) {
    double sum = 0;
    for (size_t k = 0; k < replicates; ++k) sum += after[k].resampled[b] - before[k].resampled[b];
    // A resample on which a loss is undefined says nothing.
    if (!std::isfinite(sum)) {
      ++paired.undefined;
      continue;
    }
    paired.mean.push_back(sum / static_cast<double>(replicates));
    for (size_t k = 0; k < replicates; ++k) {
      paired.of_replicate[k].push_back(after[k].resampled[b] - before[k].resampled[b]);
    }
  }
  return paired;
}

}  // namespace

double SampleSize::effective() const {
  return clusters ? clusters->effective : static_cast<double>(bearing);
}

bool Difference::has_error() const {
  return std::isfinite(mean) && training_variance + example_variance <= kMostVariance;
}

double Difference::standard_error() const {
  return has_error() ? std::sqrt(training_variance + example_variance) : kNan;
}

BehrensFisher Difference::error() const {
  return BehrensFisher(training_variance, training_freedom, example_variance, example_freedom);
}

double InteractionVariance(double training, double together, double apart, int64_t replicates) {
  const double interaction = (apart - together) / static_cast<double>(replicates - 1);
  return std::max(std::min({interaction, training, together}), 0.0);
}

double ExampleFreedom(double observations, int64_t resamples) {
  return 1 / (1 / (observations - 1) + 1 / static_cast<double>(resamples - 1));
}

double RoundingError(const std::vector<LossSample>& before, const std::vector<LossSample>& after) {
  double largest = 0;
  for (const auto* samples : {&before, &after}) {
    for (const LossSample& sample : *samples) {
      if (std::isfinite(sample.value)) largest = std::max(largest, std::abs(sample.value));
    }
  }
  // Four thousand units in the last place: sums of so many terms, added in any order.
  return largest * 0x1p-40;
}

Difference EstimateDifference(const std::vector<LossSample>& before,
                              const std::vector<LossSample>& after, SampleSize size) {
  const size_t replicates = before.size();
  const double k = static_cast<double>(replicates);
  const double rounding = RoundingError(before, after);
  Difference difference;
  std::vector<double> differences;
  difference.identical = true;
  for (size_t i = 0; i < replicates; ++i) {
    const double d = after[i].value - before[i].value;
    differences.push_back(std::abs(d) <= rounding ? 0 : d);
    difference.identical = difference.identical && before[i].value == after[i].value &&
                           before[i].resampled == after[i].resampled;
  }
  difference.mean = Mean(differences);

  difference.training_freedom = k - 1;
  difference.training_variance = replicates > 1 ? Variance(differences, rounding) / k : kNan;
  difference.no_training_noise = difference.training_variance == 0;

  const ResampledDifferences resampled = PairResamples(before, after);
  difference.undefined_resamples = resampled.undefined;
  const auto defined = static_cast<int64_t>(resampled.mean.size());
  // All resamples of one example are that example: they would say that nothing varies.
  if (size.effective() < 2 || defined < 2 || defined < resampled.undefined) {
    difference.example_variance = difference.interaction_variance = kNan;
    difference.example_freedom = kNan;
    return difference;
  }
  // A resample's variance is that of a sample of n with divisor n.
  const double n = static_cast<double>(std::max<int64_t>(size.drawn(), 2));
  const double unbiased = n / (n - 1);
  double together = unbiased * Variance(resampled.mean, rounding);
  if (replicates > 1) {
    double apart = 0;
    for (const std::vector<double>& values : resampled.of_replicate) {
      apart += unbiased * Variance(values, rounding) / k;
    }
    difference.interaction_variance = InteractionVariance(difference.training_variance, together,
                                                          apart, static_cast<int64_t>(replicates));
    together -= difference.interaction_variance;
  }
  difference.example_variance = together;
  difference.example_freedom = ExampleFreedom(size.effective(), defined);
  return difference;
}

Holm HolmStepDown(const std::vector<double>& p_values, double alpha) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto rank = [&](size_t i) { return std::isnan(p_values[i]) ? 2.0 : p_values[i]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rank(a) < rank(b); });
  Holm holm;
  holm.adjusted.assign(p_values.size(), kNan);
  holm.levels.assign(p_values.size(), alpha);
  double running = 0, level = alpha;
  for (size_t position = 0; position < order.size(); ++position) {
    const size_t i = order[position];
    const double open = static_cast<double>(order.size() - position);
    // Once one is not rejected, none after it is.
    if (running < alpha) level = alpha / open;
    holm.levels[i] = level;
    if (std::isnan(p_values[i])) continue;
    running = std::max(running, open * p_values[i]);
    holm.adjusted[i] = std::min(running, 1.0);
  }
  return holm;
}

}  // namespace backfire::verdict
