#pragma once

#include <cstdint>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::verdict {

/// Chance that a change of a stated size is to be found with.
inline constexpr double kPower = 0.8;

/// How many standard errors a change must measure so that a one-sided Student's t test of size
/// `alpha` finds it with probability `power`: by the noncentral t distribution.
/// @param degrees_of_freedom  > 0, finite or not.
double DetectableEffect(double alpha, double power, double degrees_of_freedom);

/// What a comparison of this loss can find, judged by the baseline's noise alone, for an update
/// that by itself changes no more than other seeds do. With S^2 the variance between the baseline's
/// replicates, and V the variance over resamples of the difference of two of them (mean over
/// pairs),
///
///   standard error^2 = (2 S^2 + V) / K
///
/// with degrees of freedom by Welch and Satterthwaite. An update that changes which examples fail
/// adds noise of its own, so these are least figures.
/// @param loss        Of the baseline: `before`, `margin` and names are read.
/// @param replicates  K of the update.
/// @param examples    Of the test split.
/// @param alpha       Of one look.
/// @param family      Descendants' judged losses, among which Holm's correction divides alpha; 1
///                    for the candidate's.
v1::Sensitivity EstimateSensitivity(const LossEvidence& loss, int replicates, int64_t examples,
                                    double alpha, int family);

}  // namespace backfire::verdict
