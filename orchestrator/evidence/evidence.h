#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::evidence {

/// Reads a step's evaluation, with resampled losses.
using ReadEvaluation = std::function<absl::StatusOr<v1::Evaluation>(records::StepRef)>;

/// What an update is compared with.
struct Comparison {
  const records::SystemRevision& system;
  const v1::Update& update;       ///< Without steps.
  const records::Standing& base;  ///< The versions that it is compared with.
  const ReadEvaluation& read;
};

/// What is judged of the changed vertex and its descendants, with the losses of the base alone.
/// FAILED_PRECONDITION: the system requires a slice that no loss of that vertex has.
absl::StatusOr<verdict::Evidence> BuildBaseEvidence(const Comparison& comparison, int replicates);

/// All that the verdict of an update depends on; its evaluations are done.
/// @param update          Whose comparison it is.
/// @param judged_before   Earlier updates that its test split has judged.
/// FAILED_PRECONDITION: losses can't be compared, or the system requires a slice that no loss has.
absl::StatusOr<verdict::Evidence> BuildEvidence(const Comparison& comparison,
                                                const records::OpenUpdate& update,
                                                int64_t judged_before);

/// The dataset on whose test split an update is judged; empty: nothing was evaluated on one.
std::string TestSplitDigest(const records::OpenUpdate& update);

}  // namespace backfire::evidence
