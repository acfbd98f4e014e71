#include "orchestrator/commands/resolve_recipes.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::commands {
namespace {

bool CanResolve(const v1::Model& model) {
  const auto& capabilities = model.capabilities();
  return std::count(capabilities.begin(), capabilities.end(), v1::RESOLVE_RECIPE) > 0;
}

// What a service finds wrong with a recipe and a dataset. OK where it finds nothing, or does not
// say: it was there a moment ago, and whether it stays is for the jobs to see.
absl::Status FaultOf(const graph::SystemGraph::Node& node, const v1::Recipe& recipe,
                     const std::string& dataset, const ResolveRecipe& resolve) {
  v1::ResolveRecipeRequest request;
  request.set_model(node.model_name);
  *request.mutable_recipe() = recipe;
  request.mutable_dataset()->set_uri(dataset);
  const absl::Status status = resolve(node.vertex.endpoint(), request).status();
  // A service that may not read the dataset says so of it; one that lets nobody ask says nothing.
  const bool is_fault =
      absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsDataLoss(status) ||
      (absl::IsPermissionDenied(status) && absl::StartsWith(status.message(), "dataset"));
  return is_fault ? absl::InvalidArgumentError(status.message()) : absl::OkStatus();
}

}  // namespace

absl::Status CheckRecipes(const graph::SystemGraph& graph,
                          const std::map<std::string, v1::Model>& models,
                          const ResolveRecipe& resolve) {
  std::vector<std::string> faults;
  // Said once, although every service finds them: by what is said, the vertices whose do.
  std::map<std::string, std::set<std::string>> of_dataset;
  size_t asked = 0;
  const std::string& dataset = graph.system().dataset();
  for (const std::string& vertex : graph.order()) {
    const graph::SystemGraph::Node& node = graph.node(vertex);
    const auto model = models.find(vertex);
    if (model == models.end() || !CanResolve(model->second)) continue;
    ++asked;
    const auto check = [&](const std::string& path, const v1::Recipe& recipe) {
      const absl::Status fault = FaultOf(node, recipe, dataset, resolve);
      if (fault.ok()) return;
      const std::string message(fault.message());
      if (!absl::StartsWith(message, "dataset")) {
        faults.push_back(absl::StrCat("vertices[", vertex, "].", path, message));
      } else {
        of_dataset[message].insert(vertex);
      }
    };
    check("", node.vertex.recipe());
    const v1::References& references = node.vertex.references();
    if (references.has_bayes()) check("references.bayes.", references.bayes());
    if (references.has_optimal()) check("references.optimal.", references.optimal());
    if (references.has_optimal_in_class()) {
      check("references.optimal_in_class.", references.optimal_in_class());
    }
    if (references.has_optimal_partner()) {
      check("references.optimal_partner.", references.optimal_partner());
    }
  }
  for (const auto& [message, vertices] : of_dataset) {
    faults.push_back(absl::StrCat("dataset: ", message));
    if (vertices.size() == asked) continue;
    absl::StrAppend(&faults.back(), " (where ", absl::StrJoin(vertices, ", "),
                    vertices.size() == 1 ? " is" : " are", " served)");
  }
  return faults.empty() ? absl::OkStatus()
                        : absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

absl::Status CheckProposedRecipe(const records::State& state,
                                 const v1::ProposeUpdateRequest& request,
                                 const ResolveRecipe& resolve) {
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr || !request.version().empty() || !system->graph.Has(request.vertex())) {
    return absl::OkStatus();
  }
  const v1::Model& model = system->models.at(request.vertex());
  // An unknown recipe or parameter is found without asking.
  if (!CanResolve(model) || !graph::CheckRecipe(model, request.recipe()).ok()) {
    return absl::OkStatus();
  }
  return FaultOf(system->graph.node(request.vertex()), request.recipe(),
                 system->graph.system().dataset(), resolve);
}

}  // namespace backfire::commands
