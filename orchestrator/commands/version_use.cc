#include "orchestrator/commands/version_use.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/store/for_each_row.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

bool Can(const v1::Model& model, v1::Capability capability) {
  return std::count(model.capabilities().begin(), model.capabilities().end(), capability) > 0;
}

// A release that was never live and lost its update's promotion is only history.
bool IsOfUse(const v1::Release& release) {
  return release.state() != v1::Release::RETIRED || release.epoch() > 0;
}

// Whether an update may still ask for its versions: it goes on, can be retried or promoted, or is
// what later ones are compared with.
bool IsOfUse(const v1::Update& update) {
  return update.state() != v1::Update::CANCELLED && update.state() != v1::Update::REJECTED;
}

bool Names(const v1::Recipe& recipe, const std::string& version) {
  const auto& parameters = recipe.parameters().fields();
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const auto& field) { return field.second.string_value() == version; });
}

bool Serves(const v1::Release& release, const std::string& version) {
  return std::any_of(release.versions().begin(), release.versions().end(),
                     [&](const auto& entry) { return entry.second == version; });
}

absl::StatusOr<std::vector<std::string>> ReleasesThatNeed(const store::Repository& history,
                                                          const std::string& version) {
  std::vector<std::string> needs;
  BACKFIRE_RETURN_IF_ERROR(
      store::ForEachRow([&](const store::Page& page) { return history.ListReleases(page); },
                        [&](const v1::Release& release) {
                          if (!IsOfUse(release) || !Serves(release, version)) return;
                          needs.push_back(absl::StrCat(
                              release.name(), " (", v1::Release::State_Name(release.state()), ")"));
                        }));
  std::reverse(needs.begin(), needs.end());
  return needs;
}

absl::StatusOr<std::vector<std::string>> UpdatesThatNeed(const store::Repository& history,
                                                         const std::string& version,
                                                         int64_t revision) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<int64_t> holders,
                            history.FindUpdatesWithVersion(version));
  std::set<std::string> names;
  for (const int64_t number : holders) names.insert(records::UpdateName(number));
  const store::UpdateFilter filter{{}, "", revision};
  std::vector<std::string> needs;
  BACKFIRE_RETURN_IF_ERROR(store::ForEachRow(
      [&](const store::Page& page) { return history.ListUpdates(filter, page); },
      [&](const v1::Update& update) {
        if (!IsOfUse(update)) return;
        if (names.count(update.name()) > 0) {
          needs.push_back(absl::StrCat(
              update.name(), " (",
              update.baseline() ? "the baseline" : v1::Update::State_Name(update.state()), ")"));
        } else if (Names(update.recipe(), version)) {
          needs.push_back(absl::StrCat("the recipe of ", update.name()));
        }
      }));
  std::reverse(needs.begin(), needs.end());
  return needs;
}

// Texts that are equal if what they say is fed by the same.
std::vector<std::string> Fed(const std::vector<v1::Parent>& lineage) {
  std::vector<std::string> fed;
  for (const v1::Parent& parent : lineage) {
    fed.push_back(absl::StrCat(parent.input(), " ", parent.version(), " ", parent.digest()));
  }
  return fed;
}

}  // namespace

absl::StatusOr<std::string> EndpointOf(const records::State& state, const std::string& model_name,
                                       v1::Capability capability) {
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return absl::NotFoundError("no system was applied yet");
  const graph::SystemGraph& graph = system->graph;
  std::vector<std::string> known;
  for (const std::string& vertex : graph.order()) {
    known.push_back(graph.node(vertex).model_name);
    if (known.back() != model_name) continue;
    const std::string& endpoint = graph.node(vertex).vertex.endpoint();
    if (Can(system->models.at(vertex), capability)) return endpoint;
    return absl::FailedPreconditionError(absl::StrCat("the service of ", model_name, " at ",
                                                      endpoint, " lacks the capability ",
                                                      v1::Capability_Name(capability)));
  }
  return absl::NotFoundError(absl::StrCat("no vertex of system ", system->system().name(),
                                          " has a model \"", model_name, "\"; there are ",
                                          absl::StrJoin(known, ", ")));
}

absl::StatusOr<std::vector<v1::Parent>> LiveLineage(const records::State& state,
                                                    const std::string& model_name) {
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return absl::NotFoundError("no system was applied yet");
  const graph::SystemGraph& graph = system->graph;
  std::vector<v1::Parent> lineage;
  bool first = true;
  for (const std::string& vertex : graph.order()) {
    const graph::SystemGraph::Node& node = graph.node(vertex);
    if (node.model_name != model_name) continue;
    std::vector<v1::Parent> own;
    if (!node.parents.empty()) {
      if (state.live_standing == nullptr) {
        return absl::FailedPreconditionError(absl::StrCat(
            "lineage is empty, and there is no live release yet whose versions could feed ",
            vertex));
      }
      if (state.live_standing->update().system_revision() != system->revision) {
        return absl::FailedPreconditionError(
            "lineage is empty, and the current system has no live release yet");
      }
      BACKFIRE_ASSIGN_OR_RETURN(own, planning::LineageAsOf(*state.live_standing, graph, vertex, 0));
    }
    if (!first && Fed(own) != Fed(lineage)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "lineage must be given: several vertices with ", model_name, " are fed differently"));
    }
    lineage = std::move(own);
    first = false;
  }
  return lineage;
}

std::vector<ChildModel> ChildrenOf(const records::State& state, const std::string& model_name) {
  std::vector<ChildModel> children;
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return children;
  const graph::SystemGraph& graph = system->graph;
  for (const std::string& vertex : graph.order()) {
    const graph::SystemGraph::Node& node = graph.node(vertex);
    const bool is_fed = std::any_of(
        node.parents.begin(), node.parents.end(),
        [&](const std::string& parent) { return graph.node(parent).model_name == model_name; });
    const bool is_new =
        std::none_of(children.begin(), children.end(),
                     [&](const ChildModel& child) { return child.model_name == node.model_name; });
    if (is_fed && is_new) {
      children.push_back({node.model_name, node.vertex.endpoint(),
                          Can(system->models.at(vertex), v1::LIST_VERSIONS)});
    }
  }
  return children;
}

absl::StatusOr<std::vector<std::string>> NeedsOf(const records::State& state,
                                                 const store::Repository& history,
                                                 const std::string& version) {
  BACKFIRE_ASSIGN_OR_RETURN(std::vector<std::string> needs, ReleasesThatNeed(history, version));
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return needs;
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> updates,
                            UpdatesThatNeed(history, version, system->revision));
  needs.insert(needs.end(), updates.begin(), updates.end());
  for (const v1::Vertex& vertex : system->system().vertices()) {
    if (Names(vertex.recipe(), version)) {
      needs.push_back(absl::StrCat("the recipe of vertex ", vertex.name()));
    }
  }
  return needs;
}

absl::Status CheckUnneeded(const records::State& state, const store::Repository& history,
                           const std::string& version) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> needs, NeedsOf(state, history, version));
  if (needs.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(version, " is needed by ", absl::StrJoin(needs, ", ")));
}

}  // namespace backfire::commands
