#pragma once

#include <boost/math/interpolators/cardinal_cubic_b_spline.hpp>
#include <cstdint>
#include <vector>

namespace backfire::testing {

/// What the noise of a mean difference consists of, and by how much it was observed.
struct NoiseShares {
  /// Of what is no interaction: training's share; the rest is the test examples'. [0, 1].
  double training = 0.5;
  /// Share of the whole that examples and trainings make together. [0, 1].
  double interaction = 0;
};

/// Critical values of a verdict's one-sided test at one level, tabulated: they depend on the ratio
/// of two variances alone, smoothly.
class CriticalValues {
 public:
  CriticalValues(int replicates, double example_freedom, double level);
  /// What a difference must exceed, of which training's variance is a, and the examples' e.
  double Of(double a, double e) const;

 private:
  boost::math::interpolators::cardinal_cubic_b_spline<double> by_angle_;
};

/// A test's rejections on simulated sufficient statistics of normal losses: the variances that a
/// verdict is computed from are drawn by their known distributions, scaled chi-squared, instead of
/// losses; and the probability that the mean difference exceeds what they make of the critical
/// value is computed, not drawn. So that the far tail, where Holm's correction tests a large
/// family, is measured to a few percent of itself in a fraction of a second.
///
/// Per-example losses x_ki = A_k + E_i + I_ki of K replicates and n examples, by two-way analysis
/// of variance: with parts of the variance of their mean, A / K + E / n + I / (nK) = 1,
///
///   a = (A + I) chi2(K - 1),   e = (E + I) chi2(n - 1),   c = I chi2((n - 1)(K - 1))
///
/// each chi-squared over its degrees of freedom, all independent; B resamples multiply e by another
/// chi2(B - 1) and c by chi2((B - 1)(K - 1)).
class SufficientSimulation {
 public:
  /// @param draws  Of the variances.
  SufficientSimulation(int replicates, int64_t examples, int resamples, int draws, uint64_t seed);

  /// Of the test at this level; for Rejections(), again and again.
  CriticalValues At(double level) const;

  /// Probability that a test says that the truth exceeds a bound, for truths
  /// that lie `effects` true standard errors above it.
  std::vector<double> Rejections(const CriticalValues& critical, NoiseShares shares,
                                 const std::vector<double>& effects) const;

 private:
  struct Draw {
    double training = 0, together = 0, interaction = 0;  // Chi-squared over degrees of freedom.
  };
  const int replicates_;
  const double example_freedom_;
  std::vector<Draw> draws_;
};

}  // namespace backfire::testing
