#pragma once

#include <cstdint>
#include <vector>

namespace backfire::verdict {

/// A difference of losses with its uncertainty.
struct Difference {
  double mean = 0;
  /// sqrt(S^2 / K + variance over the resamples); NaN for one replicate, whose S^2 is unknown, and
  /// where example_error is unknown.
  double standard_error = 0;
  /// By Welch and Satterthwaite from K - 1 and examples - 1; NaN with the standard error.
  double degrees_of_freedom = 0;
  /// The part of the standard error that the test examples cause alone; NaN for fewer than two
  /// examples or resamples, and where most resamples leave a loss undefined.
  double example_error = 0;
  /// Resamples that leave a loss NaN or infinite, and so are left out of example_error.
  int64_t undefined_resamples = 0;
  /// Whether all replicates gave the same difference to the bit.
  bool no_training_noise = false;
  /// Whether before and after are equal to the bit, in all replicates and on all resamples.
  bool identical = false;
};

/// Losses of one replicate: on the split as it is, and on each resample of its examples.
struct LossSample {
  double value = 0;
  std::vector<double> resampled;
};

/// Estimates after - before. Replicates are paired by their position, resamples by theirs.
/// @param before, after  K >= 1 replicates each, with equally many resamples.
/// @param examples       Of the test split.
Difference EstimateDifference(const std::vector<LossSample>& before,
                              const std::vector<LossSample>& after, int64_t examples);

/// Quantile of Student's t distribution. Normal for infinite degrees of freedom.
double StudentQuantile(double probability, double degrees_of_freedom);
/// Probability that Student's t exceeds `t`.
double StudentUpperTail(double t, double degrees_of_freedom);

/// Adjusted p-values of Holm's step-down procedure (Holm, 1979), in the order given; NaN stays and
/// counts as a member of the family.
std::vector<double> HolmAdjusted(const std::vector<double>& p_values);

}  // namespace backfire::verdict
