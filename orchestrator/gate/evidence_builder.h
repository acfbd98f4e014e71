#pragma once

#include "absl/status/statusor.h"
#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_table.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::gate {

/// The tables of a comparison, finished.
struct Sides {
  const RecordTable* before = nullptr;
  const RecordTable* after = nullptr;
  const RecordTable* swapped = nullptr;  ///< Null: nothing was measured without retraining.
};

/// Evidence, and what it was made of.
struct RecordEvidence {
  verdict::Evidence evidence;
  std::vector<int64_t> seeds;  ///< Of the replicates, in their order.
};

/// Makes evidence of records: losses are resampled as v1.Bootstrap fixes it, by clusters where the
/// records name them, and a loss of which higher is better has its sign changed.
/// @param threads  That compute; the result does not depend on them.
/// INVALID_ARGUMENT: the sides have other seeds, examples, slices, clusters or losses; fewer than
/// two examples; a required slice without an example. One fault a line, naming vertex, seed and
/// example.
absl::StatusOr<RecordEvidence> BuildEvidence(const v1::GatePolicy& policy, const Scope& scope,
                                             const Sides& sides, int threads);

/// The look that so many replicates are, of those that the policy plans.
/// INVALID_ARGUMENT: the policy plans no look at so many.
absl::StatusOr<int> LookOf(const v1::GatePolicy& policy, int replicates);

}  // namespace backfire::gate
