#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/evidence/evidence.h"
#include "orchestrator/planning/advance.h"

namespace backfire::evidence {

/// Splits the errors of all descendants that name references, before and after an update; all its
/// steps are done. INTERNAL: one is missing.
absl::StatusOr<std::vector<v1::VertexDiagnosis>> BuildDiagnoses(const Comparison& comparison,
                                                                const records::OpenUpdate& update);

/// Judges an update whose due evaluations are done.
/// @param update        With the step that ended last.
/// @param count_judged  How many earlier updates a test split has judged.
absl::StatusOr<planning::Judgement> Judge(
    const records::SystemRevision& system, const records::OpenUpdate& update,
    const ReadEvaluation& read,
    const std::function<absl::StatusOr<int64_t>(const std::string& test_split)>& count_judged);

}  // namespace backfire::evidence
