#pragma once

#include <string>

#include "absl/status/status.h"
#include "orchestrator/gate/gate.h"

namespace backfire::gate {

/// Whether a request's baseline is still to be written.
bool LacksBaseline(const GateRequest& request);

/// Writes the baseline file: the records of `after` of every vertex that these have, and of all
/// others what the file has already. Rows are sorted, so that git shows what changed; compressed if
/// the name ends in .gz. Errors as RunGate and WriteFileAtomically; INVALID_ARGUMENT: a vertex with
/// losses is in neither.
absl::Status WriteBaseline(const GateRequest& request);

}  // namespace backfire::gate
