#include "orchestrator/gate/changed_vertices.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/policy.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

// Exit code of a program as PATH has it.
absl::StatusOr<int> RunProgram(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  if (failed != 0) {
    return absl::InternalError(std::string(ErrnoToStatus(failed, arguments[0]).message()));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoToStatus(errno, arguments[0]);
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return absl::InternalError(absl::StrCat(arguments[0], " was ended by signal ", WTERMSIG(status)));
}

}  // namespace

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
