#pragma once

#include <vector>

#include "absl/time/time.h"
#include "orchestrator/records/records.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// The next update, PROPOSED, with these steps.
records::UpdateRecord NewUpdate(const records::State& state, const std::vector<v1::Step>& steps,
                                absl::Time now);

/// Marks what trains the candidate of a new update as done: a proposed version exists already, and
/// stands for every replicate.
void TakeProposedVersion(const std::string& vertex, const v1::Version& version,
                         records::UpdateRecord& update);

}  // namespace backfire::planning
