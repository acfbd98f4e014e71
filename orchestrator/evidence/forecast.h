#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/evidence/evidence.h"
#include "orchestrator/planning/schedule.h"

namespace backfire::evidence {

/// What an update can and can't show of each judged loss, by the noise of its base alone.
/// FAILED_PRECONDITION: the system requires a slice that no loss of that vertex has.
absl::StatusOr<std::vector<v1::Sensitivity>> BuildSensitivities(const Comparison& comparison);

/// What an update takes over from its base: the versions that the touched vertices' losses are
/// compared with and those that feed them, and the evaluations.
absl::StatusOr<v1::Reuse> BuildReuse(const Comparison& comparison);

}  // namespace backfire::evidence
