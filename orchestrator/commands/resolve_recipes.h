#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/records/state.h"
#include "services/graph/system_graph.h"

namespace backfire::commands {

/// Asks the service at an endpoint what it makes of a recipe; see execution::VersionHost.
using ResolveRecipe = std::function<absl::StatusOr<v1::Recipe>(
    const std::string& endpoint, const v1::ResolveRecipeRequest& request)>;

/// Has every vertex's service check its recipe, those of its references, and the dataset, where it
/// has the capability RESOLVE_RECIPE. What a service does not answer in time its jobs will find.
/// INVALID_ARGUMENT: faults, a line each: `vertices[scorer].recipe.parameters.trees must be ...`.
absl::Status CheckRecipes(const graph::SystemGraph& graph,
                          const std::map<std::string, v1::Model>& models,
                          const ResolveRecipe& resolve);

/// The same of the recipe that a proposal trains by: INVALID_ARGUMENT `recipe.parameters...`. OK
/// where the proposal is at fault otherwise, which others say.
absl::Status CheckProposedRecipe(const records::State& state,
                                 const v1::ProposeUpdateRequest& request,
                                 const ResolveRecipe& resolve);

}  // namespace backfire::commands
