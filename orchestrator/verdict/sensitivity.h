#pragma once

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
/// pairs), the variance of a mean difference has the parts
///
///   training 2 S^2 / K,   test examples max(V - 2 S^2, 0) / K
///
/// as V / K is all interaction of examples and trainings, which the first part holds as well. An
/// update that changes which examples fail adds noise of its own, so these are least figures.
/// @param loss        Of the baseline: `before`, `margin`, `size` and names are read.
/// @param replicates  K of the update.
/// @param alpha       Of one look.
/// @param family      Judged losses of the candidate and its descendants, among which Holm's
///                    correction divides alpha.
v1::Sensitivity EstimateSensitivity(const LossEvidence& loss, int replicates, double alpha,
                                    int family);

}  // namespace backfire::verdict
