#include "orchestrator/gate/changed_vertices.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/program.h"
#include "services/base/status.h"

namespace backfire::gate {
absl::StatusOr<std::vector<std::string>> ChangedVertices(const v1::GatePolicy& policy,
                                                         const std::string& folder,
                                                         const std::string& revision) {
  if (absl::StartsWith(revision, "-")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--changed-since: must be a revision of git's: got ", revision));
  }
  std::vector<std::string> touched;
  bool any_paths = false;
  for (const v1::GateVertex& vertex : policy.vertices()) {
    if (vertex.paths().empty()) continue;
    any_paths = true;
    std::vector<std::string> arguments = {
        "git", "-C", folder.empty() ? "." : folder, "diff", "--quiet", revision, "--"};
    for (const std::string& path : vertex.paths()) {
      arguments.push_back(absl::StrCat(":(glob)", path));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const int code, RunProgram(std::move(arguments)));
    if (code > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--changed-since ", revision, ": git diff ended with ", code));
    }
    if (code == 1) touched.push_back(vertex.name());
  }
  if (any_paths) return touched;
  return absl::InvalidArgumentError("--changed-since: no vertex of the policy has `paths`");
}

absl::StatusOr<std::string> CommonCandidate(const v1::GatePolicy& policy,
                                            const std::vector<std::string>& touched) {
  for (const std::string& one : touched) {
    BACKFIRE_ASSIGN_OR_RETURN(const Scope scope, ScopeOf(policy, one));
    const bool all = std::all_of(touched.begin(), touched.end(), [&](const std::string& other) {
      return std::any_of(scope.vertices.begin(), scope.vertices.end(),
                         [&](const v1::GateVertex* vertex) { return vertex->name() == other; });
    });
    if (all) return one;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the change touches ", absl::StrJoin(touched, ", "),
                   ", which do not all descend from one: judge each with --candidate"));
}

}  // namespace backfire::gate
