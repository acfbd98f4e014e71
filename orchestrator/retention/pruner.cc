#include "orchestrator/retention/pruner.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/prune.h"
#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"

namespace backfire::retention {
namespace {

// All versions of the current system's models that can be listed.
absl::StatusOr<std::vector<v1::Version>> ListAll(const records::State& state,
                                                 execution::VersionHost& host) {
  std::vector<v1::Version> all;
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return all;
  std::set<std::string> seen;
  for (const std::string& vertex : system->graph.order()) {
    const auto& node = system->graph.node(vertex);
    const auto& capabilities = system->models.at(vertex).capabilities();
    if (std::count(capabilities.begin(), capabilities.end(), v1::LIST_VERSIONS) == 0) continue;
    if (!seen.insert(node.model_name).second) continue;
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Version> versions,
                              host.ListVersions(node.vertex.endpoint(), node.model_name));
    all.insert(all.end(), versions.begin(), versions.end());
  }
  return all;
}

absl::StatusOr<std::string> EndpointOf(const records::State& state, const std::string& version) {
  const std::string model = version.substr(0, version.find("/versions/"));
  for (const std::string& vertex : state.current_system()->graph.order()) {
    const auto& node = state.current_system()->graph.node(vertex);
    if (node.model_name == model) return node.vertex.endpoint();
  }
  return absl::NotFoundError(version + " is of no vertex any more");
}

bool SameUpdatesAreOpen(const records::State& a, const records::State& b) {
  return std::equal(a.updates.begin(), a.updates.end(), b.updates.begin(), b.updates.end(),
                    [](const auto& one, const auto& other) { return one.first == other.first; });
}

}  // namespace

void Pruner::AwaitRetirement(const std::set<std::string>& releases,
                             std::chrono::seconds patience) const {
  ledger::Signal& news = ledger_.release_changes();
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    const int64_t seen = news.count();
    const auto state = ledger_.state();
    const bool all_retired = std::all_of(releases.begin(), releases.end(), [&](const auto& name) {
      const auto number = records::ParseNumber(name, "releases");
      return !number.ok() || state->FindRelease(*number) == nullptr;
    });
    const auto left = deadline - std::chrono::steady_clock::now();
    if (all_retired || left <= left.zero() || !news.Wait(seen, absl::FromChrono(left))) return;
  }
}

absl::StatusOr<v1::PruneUpdatesResponse> Pruner::Prune(const v1::PruneUpdatesRequest& request,
                                                       std::chrono::seconds patience) {
  MutexLock lock(pass_);
  const store::Repository& history = ledger_.history();
  v1::PruneUpdatesResponse response;
  commands::LetGo found;
  const auto decide = [&](const records::State& state) -> absl::StatusOr<records::Change> {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Retention retention, commands::RetentionOf(state, request));
    const absl::Time now = clock_.Now();
    BACKFIRE_ASSIGN_OR_RETURN(found, commands::FindLetGo(history, retention, now));
    if (request.dry_run()) return records::Change();
    return commands::LetGoOfUpdates(state, history, request, now);
  };
  BACKFIRE_RETURN_IF_ERROR(ledger_.Commit(decide).status());
  if (!request.dry_run()) AwaitRetirement(found.all_releases, patience);
  response.mutable_releases()->Assign(found.releases.begin(), found.releases.end());
  const std::set<std::string> gone =
      request.dry_run() ? found.all_releases : std::set<std::string>();
  bool is_done = false;
  while (!is_done) {
    is_done = true;
    const auto state = ledger_.state();
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Version> all, ListAll(*state, host_));
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Version> unneeded,
                              commands::FindUnneeded(*state, history, found.updates, all, gone));
    for (const v1::Version& version : unneeded) {
      if (ledger_.changes().stopped()) return absl::CancelledError("the orchestrator stops");
      if (!request.dry_run()) {
        // What has begun since might find this very version, and need it.
        is_done = SameUpdatesAreOpen(*ledger_.state(), *state);
        if (!is_done) break;
        BACKFIRE_ASSIGN_OR_RETURN(const std::string endpoint, EndpointOf(*state, version.name()));
        BACKFIRE_RETURN_IF_ERROR(host_.DeleteVersion(endpoint, version.name()));
      }
      response.add_versions(version.name());
      response.set_bytes(response.bytes() + version.weights_bytes());
    }
  }
  return response;
}

}  // namespace backfire::retention
