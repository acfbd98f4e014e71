// What of the engine's releases is loaded: everything before it is served, nothing after it was.
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "services/base/status.h"

namespace backfire::workflow {
namespace {

using std::chrono::steady_clock;

// How long a service that is to load a version for a promotion may stay away, at most: someone
// waits.
constexpr absl::Duration kLoadPatience = absl::Seconds(20);
// Unloading is retried this often, and leases looked at.
constexpr std::chrono::milliseconds kKeeperInterval(200);
// Replicas are made to have what is live this often.
constexpr std::chrono::seconds kReplicaInterval(5);

}  // namespace

absl::Status Engine::LoadEverywhere(const v1::Vertex& vertex, const std::string& version,
                                    const Patience& patience,
                                    const std::function<bool()>& interrupted) {
  for (const std::string& endpoint : graph::ServingEndpoints(vertex)) {
    {
      MutexLock lock(mutex_);
      if (!WaitUntilKept(endpoint, version)) return absl::CancelledError("interrupted");
    }
    BACKFIRE_RETURN_IF_ERROR(client_.LoadVersion(endpoint, version, patience, interrupted));
  }
  return absl::OkStatus();
}

absl::Status Engine::LoadRelease(int64_t number) {
  std::vector<std::pair<v1::Vertex, std::string>> wanted;  // With their versions.
  Patience patience;
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
  for (const auto& [vertex, version] : wanted) {
    const absl::Status loaded =
        LoadEverywhere(vertex, version, patience, [this] { return stopping_.load(); });
    if (stopping_) return absl::UnavailableError("shutting down");
    if (!loaded.ok()) {
      return Annotate(loaded, absl::StrCat(ReleaseName(number), " can't be made live: loading ",
                                           version, " failed"));
    }
  }
  return absl::OkStatus();
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

std::set<std::pair<std::string, std::string>> Engine::OnlyIn(int64_t number) const {
  std::set<std::pair<std::string, std::string>> only;
  std::set<std::pair<std::string, std::string>> needed;
  for (const auto& [other, release] : contents_.releases) {
    if (other != number && release.state() == v1::Release::RETIRED && wanted_.count(other) == 0) {
      continue;
    }
    const int64_t revision = RevisionOf(release);
    if (contents_.systems.count(revision) == 0) continue;
    const graph::SystemGraph& graph = GraphOf(revision);
    for (const auto& [vertex, version] : release.versions()) {
      if (!graph.Has(vertex)) continue;
      for (const std::string& endpoint : graph::ServingEndpoints(graph.node(vertex).vertex)) {
        (other == number ? only : needed).emplace(endpoint, version);
      }
    }
  }
  std::set<std::pair<std::string, std::string>> unneeded;
  std::set_difference(only.begin(), only.end(), needed.begin(), needed.end(),
                      std::inserter(unneeded, unneeded.end()));
  return unneeded;
}

int64_t Engine::NextToRetire() const {
  const auto now = steady_clock::now();
  for (const auto& [number, release] : contents_.releases) {
    if (release.state() == v1::Release::DRAINING && wanted_.count(number) == 0 &&
        gateways_.AllBeyond(release.drain_epoch(), now)) {
      return number;
    }
  }
  return 0;
}

void Engine::LoadOnReplicas(int64_t release, std::set<std::string>& lacking) {
  std::vector<std::pair<std::string, std::string>> wanted;  // Replica and version.
  {
    MutexLock lock(mutex_);
    const v1::Release& live = contents_.releases.at(release);
    const graph::SystemGraph& graph = GraphOf(RevisionOf(live));
    for (const std::string& vertex : graph.order()) {
      for (const std::string& replica : graph.node(vertex).vertex.replicas()) {
        wanted.emplace_back(replica, live.versions().at(vertex));
      }
    }
  }
  const std::set<std::string> were_lacking = std::exchange(lacking, {});
  for (const auto& [replica, version] : wanted) {
    if (stopping_) return;
    if (lacking.count(replica) > 0) continue;
    const Patience once{absl::ZeroDuration(), replica};
    const absl::Status loaded =
        client_.LoadVersion(replica, version, once, [this] { return stopping_.load(); });
    if (loaded.ok() || stopping_) continue;
    lacking.insert(replica);
    if (were_lacking.count(replica) > 0) continue;
    spdlog::warn("replica state=NOT_LOADED endpoint={} version={} error=\"{}\"", replica, version,
                 std::string(loaded.message()));
  }
  for (const std::string& replica : were_lacking) {
    if (lacking.count(replica) == 0) spdlog::info("replica state=LOADED endpoint={}", replica);
  }
}

void Engine::KeepReplicas() {
  std::set<std::string> lacking;  // Replicas without what is live.
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (const int64_t live = LiveRelease(); live != 0) {
      wanted_.insert(live);  // Nothing of it is unloaded meanwhile.
      mutex_.Unlock();
      LoadOnReplicas(live, lacking);
      mutex_.Lock();
      Unwant(live);
    }
    const auto next = steady_clock::now() + kReplicaInterval;
    while (!stopping_ && steady_clock::now() < next) changed_.WaitUntil(mutex_, next);
  }
}

void Engine::KeepReleases() {
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
    retiring_ = NextToRetire();
    bool retired = false;
    if (retiring_ != 0) {
      unloading_ = OnlyIn(retiring_);
      const auto unload = unloading_;
      mutex_.Unlock();
      absl::Status status;
      for (const auto& [endpoint, version] : unload) {
        const absl::Status unloaded = client_.UnloadVersion(endpoint, version);
        // What is deleted, or can't be unloaded, is not worth another attempt.
        if (absl::IsNotFound(unloaded) || absl::IsUnimplemented(unloaded)) continue;
        if (status.ok()) status = unloaded;
      }
      mutex_.Lock();
      unloading_.clear();
      if (status.ok()) {
        Change change;
        v1::Release& release = ChangedRelease(retiring_, change);
        release.set_state(v1::Release::RETIRED);
        release.clear_drain_epoch();
        status = Commit(std::move(change));
      }
      retired = status.ok();
      if (!retired) {
        spdlog::warn("release state=NOT_UNLOADED release={} error=\"{}\"", ReleaseName(retiring_),
                     std::string(status.message()));
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
