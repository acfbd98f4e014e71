#include "orchestrator/releases/replica_keeper.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "orchestrator/releases/release_policy.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::releases {
namespace {

// Replicas are looked after this often.
constexpr std::chrono::seconds kReplicaInterval(5);

}  // namespace

ReplicaKeeper::ReplicaKeeper(ledger::Ledger& ledger, execution::VersionHost& host,
                             execution::VersionLoader& loader)
    : ledger_(ledger), host_(host), loader_(loader) {}

ReplicaKeeper::~ReplicaKeeper() { Stop(); }

void ReplicaKeeper::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void ReplicaKeeper::Stop() {
  stopping_ = true;
  {
    MutexLock lock(mutex_);
    stop_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ReplicaKeeper::Loop() {
  while (!stopping_) {
    RunOnce();
    MutexLock lock(mutex_);
    const auto next = std::chrono::steady_clock::now() + kReplicaInterval;
    while (!stopping_ && std::chrono::steady_clock::now() < next) stop_.WaitUntil(mutex_, next);
  }
}

void ReplicaKeeper::RunOnce() {
  std::map<std::string, std::string> errors;  // Without processes that are gone.
  for (const auto& [replica, versions] : VersionsOfReplicas(*ledger_.state())) {
    for (const std::string& target : loader_.ProcessesOf(replica)) {
      const absl::Status refilled = Refill(replica, target, versions);
      if (stopping_) return;
      const std::string& error = errors[target] = std::string(refilled.message());
      const bool was_well = errors_[target].empty();
      if (!refilled.ok() && was_well) {
        spdlog::warn("replica state=NOT_LOADED endpoint={} error=\"{}\"", target, error);
      } else if (refilled.ok() && !was_well) {
        spdlog::info("replica state=LOADED endpoint={}", target);
      }
    }
  }
  errors_ = std::move(errors);
}

absl::Status ReplicaKeeper::Refill(const std::string& replica, const std::string& target,
                                   const std::map<std::string, std::string>& digests) {
  std::set<std::string> models;
  for (const auto& [version, digest] : digests) {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id, runtime::ParseVersionName(version));
    models.insert(id.model_name);
    // Time has passed since these were asked for.
    if (NeededVersions(*ledger_.state(), /*without=*/0).count({replica, version}) == 0) continue;
    BACKFIRE_RETURN_IF_ERROR(Annotate(loader_.LoadOnReplica({replica, target, version, digest},
                                                            [this] { return stopping_.load(); }),
                                      version));
  }
  for (const std::string& model : models) {
    BACKFIRE_RETURN_IF_ERROR(UnloadOthers(replica, target, model));
  }
  return absl::OkStatus();
}

absl::Status ReplicaKeeper::UnloadOthers(const std::string& replica, const std::string& target,
                                         const std::string& model) {
  const auto versions = host_.ListVersions(target, model);
  // Listing is a capability.
  if (absl::IsUnimplemented(versions.status())) return absl::OkStatus();
  BACKFIRE_RETURN_IF_ERROR(versions.status());
  std::set<ServedVersion> served;
  for (const v1::Version& version : *versions) {
    if (version.loaded()) served.emplace(replica, version.name());
  }
  absl::Status status;
  loader_.UnloadFrom(
      target, served, [this] { return NeededVersions(*ledger_.state(), /*without=*/0); },
      [&](const ServedVersion& unwanted, const absl::Status& unloaded) {
        if (status.ok()) status = Annotate(unloaded, unwanted.second);
      });
  return status;
}

}  // namespace backfire::releases
