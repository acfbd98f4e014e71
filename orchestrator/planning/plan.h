#pragma once

#include <set>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"
#include "services/graph/system_graph.h"

namespace backfire::planning {

/// `train/{vertex}/{replicate}`, and so on for `evaluate`, `evaluate-swapped`, `load`.
std::string StepId(v1::Step::Kind kind, const std::string& vertex, int replicate);

/// Steps that train, evaluate and load every vertex of a system, parents first.
/// @param committing  Vertices whose services commit to outputs (commit_steps.h).
std::vector<v1::Step> PlanBaseline(const graph::SystemGraph& graph, int replicates,
                                   const std::set<std::string>& committing = {});

/// Steps that replace one vertex: the candidate, then every descendant with and without retraining.
/// @param transforms  Vertices that don't learn; these have nothing to retrain, so no comparison
///                    without retraining.
/// @param servable    Whether the candidate can be loaded. Otherwise nothing is, as a release with
///                    a hole is none: the update is judged, and can't be promoted.
/// @param committing  As above. The parents of all these vertices commit anew, those that the
///                    update doesn't change as well: what they gave before may be gone.
/// @param uncommitted  Other vertices whose parents have to commit (AncestorsFedUncommitted).
std::vector<v1::Step> PlanUpdate(const graph::SystemGraph& graph, const std::string& vertex,
                                 const std::set<std::string>& transforms, int replicates,
                                 bool servable = true, const std::set<std::string>& committing = {},
                                 const std::set<std::string>& uncommitted = {});

/// For each step, the positions of the steps of the same update that must have succeeded before it
/// can run.
std::vector<std::vector<size_t>> Dependencies(const graph::SystemGraph& graph,
                                              const std::vector<v1::Step>& steps);

/// The vertices that an update gives other versions: all of them for a baseline, none where it
/// completes replicates, else the candidate and its descendants. Two updates whose sets meet must
/// not run at once.
std::set<std::string> TouchedVertices(const graph::SystemGraph& graph, const v1::Update& update);

/// Replicates that look `look` of `looks` has: its share, rounded up.
int ReplicatesOfLook(int replicates, int looks, int look);

}  // namespace backfire::planning
