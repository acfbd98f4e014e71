#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "orchestrator/verdict/behrens_fisher.h"

namespace backfire::verdict {

/// What can't be estimated.
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Groups of test examples that are alike: drives, users, sessions.
struct ClusterCounts {
  int64_t all = 0;      ///< Of the split, from which the resamples were drawn.
  int64_t bearing = 0;  ///< Those with an example that the loss depends on.
  /// As many clusters of one size say as much of the loss's variance, however alike examples of a
  /// cluster are: (sum m^2)^2 / sum m^4 over those, with m their examples that the loss depends on.
  /// With w = m / sum m and examples that are fully alike, the variance of the mean is a sum of
  /// independent parts, each proportional to w^2: these are its degrees of freedom by Satterthwaite
  /// (1946), plus 1. Less alike, they are more.
  double effective = 0;
};

/// What a loss was measured on.
struct SampleSize {
  int64_t examples = 0;  ///< Of the split.
  /// Those among them that the loss depends on: in its slice, with an object of its class. At most
  /// `examples`.
  int64_t bearing = 0;
  /// Unset: the dataset names none, and each example counts as a cluster by itself.
  std::optional<ClusterCounts> clusters = std::nullopt;

  /// What the resamples were drawn from: clusters, or examples.
  int64_t drawn() const { return clusters ? clusters->all : examples; }
  /// How many independent observations the loss counts as having.
  double effective() const;
};

/// A difference of losses with its uncertainty: see docs/statistics.md. Variances are of `mean`.
struct Difference {
  double mean = 0;
  /// a = S^2 / K; NaN for one replicate, whose S^2 is unknown.
  double training_variance = 0;
  /// e' = max(e - min(c, a), 0), with e the variance of the mean over the resamples and c the
  /// interaction; NaN for less than two examples that bear upon the loss, or resamples, and where
  /// most resamples leave a loss undefined. Of one replicate: e. Examples are clusters of them,
  /// where the dataset names some.
  double example_variance = 0;
  /// min(c, a): what examples and trainings do together, which both a and e hold; taken out of e.
  double interaction_variance = 0;
  double training_freedom = 0;  ///< K - 1.
  double example_freedom = 0;   ///< By SampleSize::effective(), and the resamples.
  /// Resamples that leave a loss NaN or infinite, and so are left out.
  int64_t undefined_resamples = 0;
  /// Whether all replicates gave the same difference, within rounding.
  bool no_training_noise = false;
  /// Whether before and after are equal to the bit, in all replicates and on all resamples.
  bool identical = false;

  /// Whether the error of `mean` is known: both variances are, and finite.
  bool has_error() const;
  /// sqrt(a + e'); NaN unless has_error().
  double standard_error() const;
  /// Distribution of `mean` around the truth; has_error() holds.
  BehrensFisher error() const;
};

/// Losses of one replicate: on the split as it is, and on each resample of its examples.
struct LossSample {
  double value = 0;
  std::vector<double> resampled;
};

/// The part of two variances that is interaction of examples and trainings and counted in both:
/// what the example variance is less by. The multi-reader-multi-case correction, with trainings for
/// readers: B. D. Gallas, "One-shot estimate of MRMC variance: AUC", Acad. Radiol. 13, 2006. It can
/// be in either only as far as that is large, which keeps the total from falling below either.
/// @param training     a = S^2 / K.
/// @param together     e, of the mean over replicates on the resamples.
/// @param apart        Mean over replicates of the variance on the resamples.
/// @param replicates   K >= 2.
double InteractionVariance(double training, double together, double apart, int64_t replicates);

/// Degrees of freedom of a variance over `resamples` of so many independent observations; both
/// >= 2. The relative variance of a variance is 2 / freedom, and that of the observations and of
/// resampling them add.
double ExampleFreedom(double observations, int64_t resamples);

/// How far two numbers may lie apart that would be equal if losses of this size were computed
/// without rounding: a loss is a sum over thousands of terms.
double RoundingError(const std::vector<LossSample>& before, const std::vector<LossSample>& after);

/// Estimates after - before. Replicates are paired by their position, resamples by theirs. What is
/// equal within rounding is equal: such differences are 0, such variances too.
/// @param before, after  K >= 1 replicates each, with equally many resamples.
Difference EstimateDifference(const std::vector<LossSample>& before,
                              const std::vector<LossSample>& after, SampleSize size);

/// Holm's step-down procedure (Holm, 1979).
struct Holm {
  std::vector<double> adjusted;  ///< p-values, in the order given; NaN stays.
  /// The size of the test that decided each hypothesis: alpha over those still open when it was
  /// rejected, or when the procedure stopped.
  std::vector<double> levels;
};

/// @param p_values  NaN counts as a member of the family that is never rejected.
Holm HolmStepDown(const std::vector<double>& p_values, double alpha);

}  // namespace backfire::verdict
