#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/records/standing.h"
#include "services/graph/system_graph.h"

namespace backfire::planning {

/// Steps of an update that completes replicates (records/update_state.h): trains and evaluates, of
/// what a release stands on, every replicate below `replicates` that is not there, and loads what
/// is there.
/// @param proposed    Vertices whose version was proposed as it is: it stands for all replicates.
/// @param committing  Vertices whose services commit to outputs (commit_steps.h).
/// INTERNAL: there is no replicate 0.
absl::StatusOr<std::vector<v1::Step>> PlanCompletion(const records::Standing& standing,
                                                     const graph::SystemGraph& graph,
                                                     int replicates,
                                                     const std::set<std::string>& proposed,
                                                     const std::set<std::string>& committing = {});

}  // namespace backfire::planning
