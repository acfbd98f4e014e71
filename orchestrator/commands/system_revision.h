#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "services/graph/system_graph.h"

namespace backfire::commands {

/// A system with its defaults filled in.
v1::System WithDefaults(v1::System system);

/// Whether losses under one system can be compared with losses under the other: the same vertices,
/// inputs, recipes, dataset, seeds and resamples, judged by the same losses. What may differ: where
/// services are, how they are started, what is served, margins, alpha.
bool SameExperiment(const v1::System& a, const std::map<std::string, v1::Model>& a_models,
                    const v1::System& b, const std::map<std::string, v1::Model>& b_models);

/// Whether verdicts are made by the same rules under both: alpha, margins, required slices. Of two
/// systems that are the same experiment.
bool SameRules(const v1::System& a, const v1::System& b);

/// Asks every vertex's service for its model, and checks the system against all of them.
/// UNAVAILABLE: services that did not answer, a line each. INVALID_ARGUMENT: faults, a line each.
absl::StatusOr<std::map<std::string, v1::Model>> FetchModels(
    const graph::SystemGraph& graph,
    const std::function<absl::StatusOr<v1::Model>(const std::string& endpoint,
                                                  const std::string& name)>& get_model);

}  // namespace backfire::commands
