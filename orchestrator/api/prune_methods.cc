// Letting go of what retention does not keep.
#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/api/answer.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/commands/prune.h"
#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"

namespace backfire::api {
namespace {

// For releases that are let go to be unloaded everywhere: a lease, and some. What takes longer is
// left to the next call.
constexpr std::chrono::seconds kRetirePatience(30);

bool Can(const v1::Model& model, v1::Capability capability) {
  return std::count(model.capabilities().begin(), model.capabilities().end(), capability) > 0;
}

// All versions of the current system's models that can be listed and deleted.
absl::StatusOr<std::vector<v1::Version>> ListDeletable(const records::State& state,
                                                       execution::VersionHost& host) {
  std::vector<v1::Version> all;
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return all;
  std::set<std::string> seen;
  for (const std::string& vertex : system->graph.order()) {
    const auto& node = system->graph.node(vertex);
    const v1::Model& model = system->models.at(vertex);
    if (!Can(model, v1::LIST_VERSIONS) || !Can(model, v1::DELETE_VERSION)) continue;
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

}  // namespace

void OrchestratorService::AwaitRetirement(const std::set<std::string>& releases) const {
  ledger::Signal& news = plane_.ledger().release_changes();
  const auto deadline = std::chrono::steady_clock::now() + kRetirePatience;
  while (std::chrono::steady_clock::now() < deadline) {
    const int64_t seen = news.count();
    const auto state = plane_.ledger().state();
    const bool all_retired = std::all_of(releases.begin(), releases.end(), [&](const auto& name) {
      const auto number = records::ParseNumber(name, "releases");
      return !number.ok() || state->FindRelease(*number) == nullptr;
    });
    if (all_retired || !news.Wait(seen, kStreamCheck)) return;
  }
}

absl::StatusOr<v1::PruneUpdatesResponse> OrchestratorService::Prune(
    const v1::PruneUpdatesRequest& request) {
  const store::Repository& history = plane_.ledger().history();
  v1::PruneUpdatesResponse response;
  commands::LetGo found;
  const auto decide = [&](const records::State& state) -> absl::StatusOr<records::Change> {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Retention retention, commands::RetentionOf(state, request));
    const absl::Time now = plane_.clock().Now();
    BACKFIRE_ASSIGN_OR_RETURN(found, commands::FindLetGo(history, retention, now));
    if (request.dry_run()) return records::Change();
    return commands::LetGoOfUpdates(state, history, request, now);
  };
  BACKFIRE_RETURN_IF_ERROR(plane_.ledger().Commit(decide).status());
  if (!request.dry_run()) AwaitRetirement(found.all_releases);
  const auto state = plane_.ledger().state();
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Version> all,
                            ListDeletable(*state, plane_.versions()));
  const std::set<std::string> gone =
      request.dry_run() ? found.all_releases : std::set<std::string>();
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Version> unneeded,
                            commands::FindUnneeded(*state, history, found.updates, all, gone));
  response.mutable_releases()->Assign(found.releases.begin(), found.releases.end());
  for (const v1::Version& version : unneeded) {
    if (!request.dry_run()) {
      BACKFIRE_ASSIGN_OR_RETURN(const std::string endpoint, EndpointOf(*state, version.name()));
      BACKFIRE_RETURN_IF_ERROR(plane_.versions().DeleteVersion(endpoint, version.name()));
    }
    response.add_versions(version.name());
    response.set_bytes(response.bytes() + version.weights_bytes());
  }
  return response;
}

grpc::Status OrchestratorService::PruneUpdates(grpc::ServerContext* context,
                                               const v1::PruneUpdatesRequest* request,
                                               v1::PruneUpdatesResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Prune(ByCaller(*context, *request)), response);
}

}  // namespace backfire::api
