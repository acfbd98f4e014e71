#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_table.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::gate {

/// Resamples of each simulated loss: the variance of simulated ones is known well enough by so
/// many.
inline constexpr int kSelfTestResamples = 200;

/// Simulates updates from the noise that a baseline has, and says how a gate would answer them.
///
/// An update by which each loss grows by `effect` has differences, of replicate k and on resample
/// b,
///
///   d_k = effect + t_k + i_k,   r_kb = d_k + g_kb
///
/// with t_k of training alone, i_k what trainings and examples do together, and g_kb what
/// resampling makes of the latter; normal, with the variances that two replicates of the baseline
/// differ by: 2 S^2 = var(t) + var(i), var(i) = var(g) = V (sensitivity.h). Losses are drawn
/// independently, which is the worst case for Holm's correction.
/// @param evidence  Its `before` is read; at least two replicates of each loss.
/// @param updates   Of either kind: `effect` the margin, and 0.
/// @param threads   The result does not depend on them.
v1::GateSelfTest SelfTest(const verdict::Evidence& evidence, int updates, int threads);

/// Complaints about examples that are alike and in no cluster: neighbours in the order of their
/// names correlate by 0.1 or more, and by five standard errors. Empty where there is none.
/// @param after  Differences from `before` are looked at; null: losses, and differences of seeds.
std::vector<std::string> UnnamedClusters(const Scope& scope, const RecordTable& before,
                                         const RecordTable* after);

/// A self-test for a person.
std::string SelfTestText(const v1::GateSelfTest& test);

}  // namespace backfire::gate
