// The part of the engine that knows of versions: whose they are, and what needs them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/records.h"
#include "orchestrator/workflow/version_use.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::workflow {
namespace {

bool Can(const v1::Model& model, v1::Capability capability) {
  return std::count(model.capabilities().begin(), model.capabilities().end(), capability) > 0;
}

// Lineages as texts that are equal if they are fed by the same.
std::string Fed(const v1::Parent& parent) {
  return absl::StrCat(parent.input(), " by ", parent.version(), " (", parent.digest().substr(0, 12),
                      ")");
}

}  // namespace

absl::StatusOr<std::string> Engine::EndpointOf(const std::string& model_name,
                                               v1::Capability capability) const {
  MutexLock lock(mutex_);
  if (contents_.systems.empty()) return absl::NotFoundError("no system was applied yet");
  const store::SystemRecord& system = contents_.systems.rbegin()->second;
  const graph::SystemGraph& graph = GraphOf(system.revision);
  std::vector<std::string> known;
  for (const std::string& vertex : graph.order()) {
    known.push_back(graph.node(vertex).model_name);
    if (known.back() != model_name) continue;
    const std::string& endpoint = graph.node(vertex).vertex.endpoint();
    if (Can(system.models.at(vertex), capability)) return endpoint;
    return absl::FailedPreconditionError(absl::StrCat("the service of ", model_name, " at ",
                                                      endpoint, " lacks the capability ",
                                                      v1::Capability_Name(capability)));
  }
  return absl::NotFoundError(absl::StrCat("no vertex of system ", system.system.name(),
                                          " has a model \"", model_name, "\"; there are ",
                                          absl::StrJoin(known, ", ")));
}

absl::StatusOr<std::vector<v1::Parent>> Engine::LiveLineage(const std::string& model_name) const {
  MutexLock lock(mutex_);
  if (contents_.systems.empty()) return absl::NotFoundError("no system was applied yet");
  const graph::SystemGraph& graph = GraphOf(contents_.systems.rbegin()->first);
  std::vector<v1::Parent> lineage;
  bool first = true;
  for (const std::string& vertex : graph.order()) {
    const graph::SystemGraph::Node& node = graph.node(vertex);
    if (node.model_name != model_name) continue;
    std::vector<v1::Parent> own;
    if (!node.parents.empty()) {
      const int64_t live = LiveRelease();
      if (live == 0) {
        return absl::FailedPreconditionError(absl::StrCat(
            "lineage is empty, and there is no live release yet whose versions could feed ",
            vertex));
      }
      BACKFIRE_ASSIGN_OR_RETURN(const int64_t update,
                                ParseNumber(contents_.releases.at(live).update(), "updates"));
      if (contents_.updates.at(update).update.system_revision() !=
          contents_.systems.rbegin()->first) {
        return absl::FailedPreconditionError(
            "lineage is empty, and the current system has no live release yet");
      }
      BACKFIRE_ASSIGN_OR_RETURN(own, LineageAsOf(contents_, graph, update, vertex, 0));
    }
    const bool equal = std::equal(own.begin(), own.end(), lineage.begin(), lineage.end(),
                                  [](const auto& a, const auto& b) { return Fed(a) == Fed(b); });
    if (!first && !equal) {
      return absl::InvalidArgumentError(absl::StrCat(
          "lineage must be given: several vertices with ", model_name, " are fed differently"));
    }
    lineage = std::move(own);
    first = false;
  }
  return lineage;
}

std::vector<Engine::Child> Engine::ChildrenOf(const std::string& model_name) const {
  MutexLock lock(mutex_);
  std::vector<Child> children;
  if (contents_.systems.empty()) return children;
  const store::SystemRecord& system = contents_.systems.rbegin()->second;
  const graph::SystemGraph& graph = GraphOf(system.revision);
  for (const std::string& vertex : graph.order()) {
    const graph::SystemGraph::Node& node = graph.node(vertex);
    const bool is_fed = std::any_of(
        node.parents.begin(), node.parents.end(),
        [&](const std::string& parent) { return graph.node(parent).model_name == model_name; });
    const bool is_new = std::none_of(children.begin(), children.end(), [&](const Child& child) {
      return child.model_name == node.model_name;
    });
    if (is_fed && is_new) {
      children.push_back({node.model_name, node.vertex.endpoint(),
                          Can(system.models.at(vertex), v1::LIST_VERSIONS)});
    }
  }
  return children;
}

absl::Status Engine::CheckUnneeded(const std::string& version) const {
  MutexLock lock(mutex_);
  const std::vector<std::string> needs = NeedsOf(contents_, version);
  if (needs.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(version, " is needed by ", absl::StrJoin(needs, ", ")));
}

absl::StatusOr<v1::Version> Engine::ProposedVersion(const v1::ProposeUpdateRequest& request) {
  if (request.has_recipe()) {
    return absl::InvalidArgumentError(
        "recipe must be unset where a version is proposed: it was trained already");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id,
                            runtime::ParseVersionName(request.version()));
  std::string endpoint;
  {
    MutexLock lock(mutex_);
    if (contents_.systems.empty()) {
      return absl::FailedPreconditionError("there is no live release to compare with yet");
    }
    const store::SystemRecord& system = contents_.systems.rbegin()->second;
    const graph::SystemGraph& graph = GraphOf(system.revision);
    if (!graph.Has(request.vertex())) {
      return absl::NotFoundError(absl::StrCat("there is no vertex \"", request.vertex(),
                                              "\"; there are ",
                                              absl::StrJoin(graph.order(), ", ")));
    }
    const graph::SystemGraph::Node& node = graph.node(request.vertex());
    if (node.model_name != id.model_name) {
      return absl::InvalidArgumentError(absl::StrCat("version must be one of ", node.model_name,
                                                     ", the model of ", request.vertex(), ": got ",
                                                     request.version()));
    }
    if (!Can(system.models.at(request.vertex()), v1::LIST_VERSIONS)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the service of ", id.model_name, " lacks the capability LIST_VERSIONS"));
    }
    endpoint = node.vertex.endpoint();
  }
  BACKFIRE_ASSIGN_OR_RETURN(
      v1::Version version,
      client_.GetVersion(endpoint, runtime::VersionName(id.model_name, id.number)));
  version.clear_loaded();  // Of this moment.
  return version;
}

absl::Status Engine::CheckProposedLineage(const v1::Version& version,
                                          const graph::SystemGraph& graph,
                                          const std::string& vertex, int64_t baseline) const {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Parent> live,
                            LineageAsOf(contents_, graph, baseline, vertex, 0));
  std::vector<std::string> expected, got;
  const auto add = [](const auto& lineage, std::vector<std::string>& texts) {
    for (const v1::Parent& parent : lineage) texts.push_back(Fed(parent));
    std::sort(texts.begin(), texts.end());
  };
  add(live, expected);
  add(version.lineage(), got);
  const auto same = [](const v1::Parent& a, const v1::Parent& b) {
    return a.input() == b.input() && a.output() == b.output() && a.digest() == b.digest();
  };
  if (live.size() == static_cast<size_t>(version.lineage_size()) &&
      std::is_permutation(live.begin(), live.end(), version.lineage().begin(), same)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      version.name(), " must be fed as the live release's ", vertex, " is (",
      absl::StrJoin(expected, ", "), "): it is fed ",
      got.empty() ? "by no version" : absl::StrJoin(got, ", "), "; import or train it again"));
}

}  // namespace backfire::workflow
