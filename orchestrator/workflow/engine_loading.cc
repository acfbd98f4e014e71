// What of the engine's releases is loaded: everything before it is served, nothing after it was.
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "services/base/parallel.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::workflow {
namespace {

using std::chrono::steady_clock;

// How long a service that is to load a version for a promotion may stay away, at most: someone
// waits.
constexpr absl::Duration kLoadPatience = absl::Seconds(20);
// How long replicas are waited for: those that take longer get what is live or staged from
// KeepReplicas.
constexpr std::chrono::seconds kReplicaPatience(5);
// How long a name that was never asked for before may take to be resolved.
constexpr absl::Duration kNamePatience = absl::Seconds(2);
// Leases are looked at this often, and unloading is tried again; less and less often where it
// fails.
constexpr std::chrono::milliseconds kKeeperInterval(200), kLongestPause(30'000);
// Replicas are looked after this often.
constexpr std::chrono::seconds kReplicaInterval(5);

}  // namespace

std::vector<std::string> Engine::ProcessesOf(const std::string& replica) {
  return names_.Expand({replica}, kNamePatience);
}

absl::Status Engine::LoadOnReplica(const ReplicaLoad& load,
                                   const std::function<bool()>& interrupted) {
  {
    MutexLock lock(mutex_);
    if (!WaitUntilKept(load.replica, load.version)) return absl::CancelledError("interrupted");
  }
  const runtime::Patience once{absl::ZeroDuration(), load.target};
  BACKFIRE_RETURN_IF_ERROR(client_.LoadVersion(load.target, load.version, once, interrupted));
  if (load.digest.empty()) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version loaded,
                            client_.GetVersion(load.target, load.version));
  if (loaded.digest() == load.digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      load.target, " has other weights by the name ", load.version, " (digest ", loaded.digest(),
      ") than the vertex's endpoint (", load.digest,
      "): start it with --replica-of and the endpoint, or take it out of the vertex's replicas"));
}

absl::Status Engine::LoadOnEndpoint(const v1::Vertex& vertex, const std::string& version,
                                    const runtime::Patience& patience,
                                    const std::function<bool()>& interrupted,
                                    std::vector<ReplicaLoad>& replicas) {
  {
    MutexLock lock(mutex_);
    if (!WaitUntilKept(vertex.endpoint(), version)) return absl::CancelledError("interrupted");
  }
  BACKFIRE_RETURN_IF_ERROR(client_.LoadVersion(vertex.endpoint(), version, patience, interrupted));
  if (vertex.replicas().empty()) return absl::OkStatus();
  const absl::StatusOr<v1::Version> loaded = client_.GetVersion(vertex.endpoint(), version);
  if (!loaded.ok() && !absl::IsUnimplemented(loaded.status())) return loaded.status();
  const std::string digest = loaded.ok() ? loaded->digest() : "";  // Listing is a capability.
  for (const std::string& replica : vertex.replicas()) {
    for (const std::string& target : ProcessesOf(replica)) {
      replicas.push_back({replica, target, version, digest});
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::LoadOnReplicas(const std::vector<ReplicaLoad>& replicas,
                                    const std::function<bool()>& interrupted) {
  const auto until = steady_clock::now() + kReplicaPatience;
  const auto late = [&] { return interrupted() || steady_clock::now() > until; };
  std::vector<absl::Status> statuses(replicas.size());
  const auto count = static_cast<int64_t>(replicas.size());
  ParallelFor(count, static_cast<int>(count), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    statuses[at] = LoadOnReplica(replicas[at], late);
  });
  if (interrupted()) return absl::CancelledError("interrupted");
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (statuses[i].ok()) continue;
    if (!runtime::IsTransient(statuses[i])) return statuses[i];
    // Replicas are there to serve more, not less: one that is away gets it when it is back.
    spdlog::warn("replica state=NOT_LOADED endpoint={} version={} error=\"{}\"", replicas[i].target,
                 replicas[i].version, std::string(statuses[i].message()));
  }
  return absl::OkStatus();
}

absl::Status Engine::LoadEverywhere(const v1::Vertex& vertex, const std::string& version,
                                    const runtime::Patience& patience,
                                    const std::function<bool()>& interrupted) {
  std::vector<ReplicaLoad> replicas;
  BACKFIRE_RETURN_IF_ERROR(LoadOnEndpoint(vertex, version, patience, interrupted, replicas));
  return LoadOnReplicas(replicas, interrupted);
}

absl::Status Engine::LoadRelease(int64_t number) {
  std::vector<std::pair<v1::Vertex, std::string>> wanted;  // With their versions.
  runtime::Patience patience;
  {
    MutexLock lock(mutex_);
    const v1::Release& release = contents_.releases.at(number);
    const graph::SystemGraph& graph = GraphOf(RevisionOf(release));
    patience = PatienceOf(graph.system(), release.name());
    patience.timeout = std::min(patience.timeout, kLoadPatience);
    for (const std::string& vertex : graph.order()) {
      wanted.emplace_back(graph.node(vertex).vertex, release.versions().at(vertex));
    }
  }
  const std::function<bool()> interrupted = [this] { return stopping_.load(); };
  std::vector<ReplicaLoad> replicas;
  absl::Status loaded;
  for (const auto& [vertex, version] : wanted) {
    loaded = Annotate(LoadOnEndpoint(vertex, version, patience, interrupted, replicas),
                      absl::StrCat("loading ", version, " failed"));
    if (!loaded.ok()) break;
  }
  if (loaded.ok()) loaded = LoadOnReplicas(replicas, interrupted);
  if (stopping_) return absl::UnavailableError("shutting down");
  return Annotate(loaded, absl::StrCat(ReleaseName(number), " can't be made live"));
}

void Engine::Unwant(int64_t number) {
  wanted_.erase(wanted_.find(number));
  const v1::Release& release = contents_.releases.at(number);
  if (release.state() != v1::Release::PREPARING || wanted_.count(number) > 0) return;
  // A rollback that failed; an update's own preparation has a step that says so.
  const auto update = FindUpdate(release.update());
  if (update.ok() &&
      (IsOpen((*update)->update) || (*update)->update.state() == v1::Update::FAILED)) {
    return;
  }
  Change change;
  v1::Release& dropped = ChangedRelease(number, change);
  dropped.set_state(v1::Release::DRAINING);
  dropped.set_drain_epoch(Epoch());
  if (const absl::Status status = Commit(std::move(change)); !status.ok()) {
    spdlog::error("release state=UNSAVED release={} error=\"{}\"", ReleaseName(number),
                  std::string(status.message()));
  }
}

bool Engine::WaitUntilKept(const std::string& endpoint, const std::string& version) const {
  while (unloading_.count({endpoint, version}) > 0 && !stopping_) {
    changed_.WaitUntil(mutex_, steady_clock::now() + kKeeperInterval);
  }
  return !stopping_;
}

std::set<Engine::ServedVersion> Engine::VersionsOf(int64_t number) const {
  std::set<ServedVersion> versions;
  const v1::Release& release = contents_.releases.at(number);
  const int64_t revision = RevisionOf(release);
  if (contents_.systems.count(revision) == 0) return versions;
  const graph::SystemGraph& graph = GraphOf(revision);
  for (const auto& [vertex, version] : release.versions()) {
    if (!graph.Has(vertex)) continue;
    for (const std::string& endpoint : graph::ServingEndpoints(graph.node(vertex).vertex)) {
      versions.emplace(endpoint, version);
    }
  }
  return versions;
}

std::set<Engine::ServedVersion> Engine::NeededVersions(int64_t without) const {
  std::set<ServedVersion> needed;
  for (const auto& [number, release] : contents_.releases) {
    if (number == without) continue;
    if (release.state() == v1::Release::RETIRED && wanted_.count(number) == 0) continue;
    needed.merge(VersionsOf(number));
  }
  return needed;
}

std::set<std::string> Engine::ReplicasOf(int64_t release) const {
  std::set<std::string> replicas;
  const int64_t revision = RevisionOf(contents_.releases.at(release));
  if (contents_.systems.count(revision) == 0) return replicas;
  for (const v1::Vertex& vertex : GraphOf(revision).system().vertices()) {
    replicas.insert(vertex.replicas().begin(), vertex.replicas().end());
  }
  return replicas;
}

int64_t Engine::NextToRetire(const std::map<int64_t, Postponed>& postponed) const {
  const auto now = steady_clock::now();
  for (const auto& [number, release] : contents_.releases) {
    const auto later = postponed.find(number);
    if (later != postponed.end() && now < later->second.until) continue;
    if (release.state() == v1::Release::DRAINING && wanted_.count(number) == 0 &&
        gateways_.AllBeyond(release.drain_epoch(), now)) {
      return number;
    }
  }
  return 0;
}

std::map<std::string, std::set<std::string>> Engine::VersionsOfReplicas() const {
  std::map<std::string, std::set<std::string>> wanted;
  for (const auto& [number, release] : contents_.releases) {
    if (release.state() != v1::Release::LIVE && release.state() != v1::Release::STAGED) continue;
    const std::set<std::string> replicas = ReplicasOf(number);
    for (const auto& [endpoint, version] : VersionsOf(number)) {
      if (replicas.count(endpoint) > 0) wanted[endpoint].insert(version);
    }
  }
  return wanted;
}

absl::Status Engine::RefillReplica(const std::string& replica, const std::string& target,
                                   const std::set<std::string>& versions) {
  std::set<std::string> models;
  for (const std::string& version : versions) {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id, runtime::ParseVersionName(version));
    models.insert(id.model_name);
    {
      MutexLock lock(mutex_);
      // Time has passed since these were asked for.
      if (NeededVersions(/*without=*/0).count({replica, version}) == 0) continue;
    }
    // A replica compares its copy with its primary's by itself.
    BACKFIRE_RETURN_IF_ERROR(Annotate(LoadOnReplica({replica, target, version, /*digest=*/""},
                                                    [this] { return stopping_.load(); }),
                                      version));
  }
  for (const std::string& model : models) {
    const auto loaded = client_.LoadedVersions(target, model);
    if (absl::IsUnimplemented(loaded.status())) continue;  // Listing is a capability.
    BACKFIRE_RETURN_IF_ERROR(loaded.status());
    for (const std::string& version : *loaded) {
      const ServedVersion served(replica, version);
      {
        MutexLock lock(mutex_);
        if (NeededVersions(/*without=*/0).count(served) > 0) continue;
        unloading_.insert(served);
      }
      const absl::Status unloaded = client_.UnloadVersion(target, version);
      MutexLock lock(mutex_);
      unloading_.erase(served);
      changed_.NotifyAll();
      BACKFIRE_RETURN_IF_ERROR(Annotate(unloaded, version));
    }
  }
  return absl::OkStatus();
}

void Engine::KeepReplicas() {
  std::map<std::string, std::string> errors;  // Of replicas' processes, the last time.
  MutexLock lock(mutex_);
  while (!stopping_) {
    std::map<std::string, std::string> errors_now;
    for (const auto& [replica, versions] : VersionsOfReplicas()) {
      mutex_.Unlock();
      for (const std::string& target : ProcessesOf(replica)) {
        const absl::Status refilled = RefillReplica(replica, target, versions);
        if (stopping_) break;
        std::string& error = errors_now[target];
        error = std::string(refilled.message());
        const bool was_well = errors[target].empty();
        if (!refilled.ok() && was_well) {
          spdlog::warn("replica state=NOT_LOADED endpoint={} error=\"{}\"", target, error);
        } else if (refilled.ok() && !was_well) {
          spdlog::info("replica state=LOADED endpoint={}", target);
        }
      }
      mutex_.Lock();
      if (stopping_) break;
    }
    errors = std::move(errors_now);
    const auto next = steady_clock::now() + kReplicaInterval;
    while (!stopping_ && steady_clock::now() < next) changed_.WaitUntil(mutex_, next);
  }
}

absl::Status Engine::Retire(int64_t number) {
  const std::set<ServedVersion> needed = NeededVersions(/*without=*/number);
  const std::set<std::string> replicas = ReplicasOf(number);
  std::set<ServedVersion> unload;
  for (const ServedVersion& served : VersionsOf(number)) {
    if (needed.count(served) == 0) unload.insert(served);
  }
  unloading_.insert(unload.begin(), unload.end());
  mutex_.Unlock();
  absl::Status status;
  for (const auto& [endpoint, version] : unload) {
    const bool is_replica = replicas.count(endpoint) > 0;
    for (const std::string& target : is_replica ? ProcessesOf(endpoint) : std::vector{endpoint}) {
      const absl::Status unloaded = client_.UnloadVersion(target, version);
      // What is deleted, or can't be unloaded, is not worth another attempt; a replica that is
      // away is looked after when it is back.
      if (absl::IsNotFound(unloaded) || absl::IsUnimplemented(unloaded)) continue;
      if (is_replica && runtime::IsTransient(unloaded)) continue;
      if (status.ok()) status = unloaded;
    }
  }
  mutex_.Lock();
  for (const ServedVersion& served : unload) unloading_.erase(served);
  BACKFIRE_RETURN_IF_ERROR(status);
  Change change;
  v1::Release& release = ChangedRelease(number, change);
  release.set_state(v1::Release::RETIRED);
  release.clear_drain_epoch();
  return Commit(std::move(change));
}

void Engine::KeepReleases() {
  std::map<int64_t, Postponed> postponed;  // Releases that could not be retired.
  MutexLock lock(mutex_);
  for (const auto& [number, release] : contents_.releases) {
    // A rollback to it was under way when the process ended.
    if (release.state() != v1::Release::PREPARING) continue;
    wanted_.insert(number);
    Unwant(number);
  }
  while (!stopping_) {
    if (gateways_.Expire(steady_clock::now())) {
      ++release_changes_;
      changed_.NotifyAll();
    }
    retiring_ = NextToRetire(postponed);
    bool retired = false;
    if (retiring_ != 0) {
      const absl::Status status = Retire(retiring_);
      retired = status.ok();
      if (retired) {
        postponed.erase(retiring_);
      } else {
        Postponed& later = postponed[retiring_];
        later.pause = std::clamp(2 * later.pause, kKeeperInterval, kLongestPause);
        later.until = steady_clock::now() + later.pause;
        if (later.error != status.message()) {
          later.error = std::string(status.message());
          spdlog::warn("release state=NOT_UNLOADED release={} error=\"{}\"", ReleaseName(retiring_),
                       later.error);
        }
      }
      retiring_ = 0;
      changed_.NotifyAll();
    }
    // Reports and changes come often; what they allow is looked for at a steady pace.
    const auto next =
        steady_clock::now() + (retired ? std::chrono::milliseconds(0) : kKeeperInterval);
    while (!stopping_ && steady_clock::now() < next) changed_.WaitUntil(mutex_, next);
  }
}

void Engine::Report(const v1::GatewayReport& report) {
  MutexLock lock(mutex_);
  if (!gateways_.Report(report, steady_clock::now())) return;
  ++release_changes_;
  changed_.NotifyAll();
}

void Engine::Disconnect(const std::string& gateway) {
  MutexLock lock(mutex_);
  gateways_.Disconnect(gateway);
  ++release_changes_;
  changed_.NotifyAll();
}

}  // namespace backfire::workflow
