#include "orchestrator/gate/policy.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/policy_faults.h"
#include "orchestrator/system/system_file.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/yaml/yaml_message.h"

namespace backfire::gate {
namespace {

void SetDefaults(PolicyUse use, v1::GatePolicy& policy) {
  // Evidence has its own alpha; what the policy says of it must agree.
  if (policy.alpha() == 0 && use == PolicyUse::kRecords) policy.set_alpha(0.05);
  if (!policy.has_bootstrap()) policy.mutable_bootstrap()->set_resample_count(1000);
  if (policy.fail_on().empty()) policy.add_fail_on("worse");
  for (v1::GateVertex& vertex : *policy.mutable_vertices()) {
    for (v1::GateLoss& loss : *vertex.mutable_losses()) {
      const bool by_column = loss.numerator().empty() && !loss.resampled();
      if (loss.column().empty() && by_column) loss.set_column(loss.name());
      if (loss.direction().empty()) loss.set_direction("lower");
      if (loss.role().empty()) loss.set_role("blocking");
    }
  }
}

// Sets each vertex's parents as the system file has them; vertices that it alone has are added, as
// they may lie between others.
absl::Status TakeGraph(const std::string& path, v1::GatePolicy& policy) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(path));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::System system, system::ParseSystem(text, path));
  std::map<std::string, v1::GateVertex*> known;
  std::vector<std::string> faults;
  for (v1::GateVertex& vertex : *policy.mutable_vertices()) {
    known[vertex.name()] = &vertex;
    if (!vertex.parents().empty()) {
      faults.push_back(absl::StrCat("vertices[", vertex.name(),
                                    "].parents: must stay empty, as `system` says what feeds it"));
    }
  }
  std::set<std::string> in_system;
  for (const v1::Vertex& vertex : system.vertices()) {
    in_system.insert(vertex.name());
    v1::GateVertex*& ours = known[vertex.name()];
    if (ours == nullptr) {
      ours = policy.add_vertices();
      ours->set_name(vertex.name());
    }
    std::set<std::string> parents;
    for (const auto& [input, reference] : vertex.inputs()) {
      BACKFIRE_ASSIGN_OR_RETURN(const graph::Source source, graph::ParseSource(reference));
      if (!source.from_request()) parents.insert(source.vertex);
    }
    for (const std::string& parent : parents) ours->add_parents(parent);
  }
  for (const v1::GateVertex& vertex : policy.vertices()) {
    if (in_system.count(vertex.name()) == 0) {
      faults.push_back(
          absl::StrCat("vertices[", vertex.name(), "].name: there is no such vertex in ", path));
    }
  }
  return faults.empty() ? absl::OkStatus()
                        : absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

std::set<std::string> DescendantsOf(const v1::GatePolicy& policy, const std::string& candidate) {
  std::set<std::string> reached = {candidate};
  for (bool grew = true; grew;) {
    grew = false;
    for (const v1::GateVertex& vertex : policy.vertices()) {
      const bool fed = std::any_of(vertex.parents().begin(), vertex.parents().end(),
                                   [&](const auto& parent) { return reached.count(parent) > 0; });
      if (fed && reached.insert(vertex.name()).second) grew = true;
    }
  }
  return reached;
}

}  // namespace

absl::StatusOr<v1::GatePolicy> ParsePolicy(const std::string& text, const std::string& name,
                                           const std::string& folder, PolicyUse use) {
  v1::GatePolicy policy;
  BACKFIRE_RETURN_IF_ERROR(ParseYaml(text, name, policy));
  if (!policy.system().empty()) {
    const std::string path = (std::filesystem::path(folder) / policy.system()).string();
    if (const absl::Status taken = TakeGraph(path, policy); !taken.ok()) {
      const bool ours = absl::StartsWith(taken.message(), "vertices[");
      return ours ? LocateFaults(taken, text, name)
                  : Annotate(taken, absl::StrCat(name, ": system"));
    }
  }
  const std::vector<std::string> faults = PolicyFaults(policy, use);
  if (!faults.empty()) {
    return LocateFaults(absl::InvalidArgumentError(absl::StrJoin(faults, "\n")), text, name);
  }
  SetDefaults(use, policy);
  return policy;
}

absl::StatusOr<Scope> ScopeOf(const v1::GatePolicy& policy, const std::string& candidate) {
  Scope scope;
  scope.candidate = candidate.empty() ? policy.candidate() : candidate;
  if (scope.candidate.empty()) {
    return absl::InvalidArgumentError(
        "no candidate: name the vertex that changed with --candidate, or in the policy's "
        "`candidate`");
  }
  const std::set<std::string> reached = DescendantsOf(policy, scope.candidate);
  for (const v1::GateVertex& vertex : policy.vertices()) {
    if (vertex.name() == scope.candidate) scope.vertices.push_back(&vertex);
  }
  if (scope.vertices.empty()) {
    return absl::NotFoundError(
        absl::StrCat("candidate: the policy has no vertex ", scope.candidate));
  }
  for (const v1::GateVertex& vertex : policy.vertices()) {
    if (vertex.name() == scope.candidate) continue;
    if (reached.count(vertex.name()) > 0) {
      scope.vertices.push_back(&vertex);
    } else {
      scope.unaffected.push_back(vertex.name());
    }
  }
  return scope;
}

bool IsBlocking(const v1::GateLoss& loss) { return loss.role() != "advisory"; }

}  // namespace backfire::gate
