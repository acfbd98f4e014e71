#include "orchestrator/execution/version_loader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/parallel.h"
#include "services/base/status.h"

namespace backfire::execution {
namespace {

// How long replicas are waited for: those that take longer are filled by whoever keeps them.
constexpr std::chrono::seconds kReplicaPatience(5);
// Versions that are unloaded at once.
constexpr int64_t kMostUnloads = 16;
// Vertices whose versions are loaded at once.
constexpr int64_t kMostLoads = 64;
// How often somebody who waits looks whether they are interrupted.
constexpr std::chrono::milliseconds kInterruptionCheck(200);
// How long a name that was never asked for before may take to be resolved.
constexpr absl::Duration kNamePatience = absl::Seconds(2);

}  // namespace

absl::StatusOr<runtime::Patience> VersionLoader::WaitUntilKept(const ServedVersion& served,
                                                               const runtime::Patience& patience,
                                                               const Interrupted& interrupted) {
  const auto start = std::chrono::steady_clock::now();
  runtime::Patience left = patience;
  MutexLock lock(mutex_);
  while (unloading_.count(served) > 0 && !interrupted()) {
    kept_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kInterruptionCheck);
    const auto now = std::chrono::steady_clock::now();
    left.timeout = patience.timeout - absl::FromChrono(now - start);
    if (unloading_.count(served) > 0 &&
        (left.timeout <= absl::ZeroDuration() || now >= left.until)) {
      return absl::DeadlineExceededError(
          absl::StrCat(served.first, ": did not answer: it is to unload the version first"));
    }
  }
  if (interrupted()) return absl::CancelledError("interrupted");
  left.timeout = std::max(left.timeout, absl::Milliseconds(1));
  return left;
}

std::set<ServedVersion> VersionLoader::Unloading() const {
  MutexLock lock(mutex_);
  return {unloading_.begin(), unloading_.end()};
}

std::vector<std::string> VersionLoader::ProcessesOf(const std::string& replica) {
  return names_.Expand({replica}, kNamePatience);
}

absl::Status VersionLoader::LoadOnReplica(const ReplicaLoad& load, const Interrupted& interrupted) {
  BACKFIRE_RETURN_IF_ERROR(WaitUntilKept({load.replica, load.version}, {}, interrupted).status());
  const runtime::Patience once{absl::ZeroDuration(), load.target};
  BACKFIRE_RETURN_IF_ERROR(
      host_.LoadVersion(load.target, load.version, load.digest, once, interrupted));
  if (load.digest.empty()) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version loaded, host_.GetVersion(load.target, load.version));
  if (loaded.digest() == load.digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      load.target, " has other weights by the name ", load.version, " (digest ", loaded.digest(),
      ") than the vertex's endpoint (", load.digest,
      "): start it with --replica-of and the endpoint, or take it out of the vertex's replicas"));
}

absl::Status VersionLoader::LoadOnEndpoint(const VertexVersion& wanted,
                                           const runtime::Patience& patience,
                                           const Interrupted& interrupted,
                                           std::vector<ReplicaLoad>& replicas) {
  const std::string& endpoint = wanted.vertex.endpoint();
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::Patience left,
                            WaitUntilKept({endpoint, wanted.version}, patience, interrupted));
  BACKFIRE_RETURN_IF_ERROR(
      host_.LoadVersion(endpoint, wanted.version, wanted.digest, left, interrupted));
  if (wanted.digest.empty() && wanted.vertex.replicas().empty()) return absl::OkStatus();
  const absl::StatusOr<v1::Version> loaded = host_.GetVersion(endpoint, wanted.version);
  // It is loaded by now; only replicas take more to be asked.
  if (wanted.vertex.replicas().empty() && runtime::IsTransient(loaded.status())) {
    return absl::OkStatus();
  }
  if (!loaded.ok() && !absl::IsUnimplemented(loaded.status())) return loaded.status();
  const std::string digest = loaded.ok() ? loaded->digest() : "";  // Listing is a capability.
  // A service may not look at the digest that it is given.
  if (loaded.ok() && !wanted.digest.empty() && digest != wanted.digest) {
    return absl::DataLossError(absl::StrCat(
        endpoint, " has other weights by the name ", wanted.version, " (digest ", digest,
        ") than the release was made of (", wanted.digest,
        "): its data directory was lost or replaced; restore it from a backup, or apply the "
        "system with another seed for a baseline of new versions"));
  }
  for (const std::string& replica : wanted.vertex.replicas()) {
    for (const std::string& target : ProcessesOf(replica)) {
      replicas.push_back({replica, target, wanted.version, digest});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<VersionLoader::ReplicaLoad>> VersionLoader::LoadOnEndpoints(
    const std::vector<VertexVersion>& versions, const runtime::Patience& patience,
    const Interrupted& interrupted) {
  // What no patience mends ends the others' loading as well. Those that are away are waited for
  // together, and each is named.
  std::atomic<bool> in_vain = false;
  const Interrupted ends = [&] { return in_vain || interrupted(); };
  std::vector<absl::Status> statuses(versions.size());
  std::vector<std::vector<ReplicaLoad>> of_version(versions.size());
  const auto count = static_cast<int64_t>(versions.size());
  ParallelFor(count, static_cast<int>(std::min(count, kMostLoads)), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    statuses[at] = LoadOnEndpoint(versions[at], patience, ends, of_version[at]);
    if (!statuses[at].ok() && !runtime::IsTransient(statuses[at])) in_vain = true;
  });
  if (interrupted()) return absl::CancelledError("interrupted");
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> faults;
  std::vector<ReplicaLoad> replicas;
  for (size_t i = 0; i < versions.size(); ++i) {
    replicas.insert(replicas.end(), of_version[i].begin(), of_version[i].end());
    const absl::Status& status = statuses[i];
    if (status.ok() || (in_vain && runtime::IsTransient(status))) continue;
    if (faults.empty()) code = status.code();
    faults.push_back(absl::StrCat("loading ", versions[i].version, " failed at vertex ",
                                  versions[i].vertex.name(), ": ", status.message()));
  }
  if (!faults.empty()) return absl::Status(code, absl::StrJoin(faults, "; "));
  return replicas;
}

absl::Status VersionLoader::LoadOnReplicas(const std::vector<ReplicaLoad>& replicas,
                                           const Interrupted& interrupted) {
  const auto until = clock_.Steady() + kReplicaPatience;
  const auto late = [&] { return interrupted() || clock_.Steady() > until; };
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
    // Replicas only add capacity: one that is away delays nothing, and is filled when it is back.
    spdlog::warn("replica state=NOT_LOADED endpoint={} version={} error=\"{}\"", replicas[i].target,
                 replicas[i].version, std::string(statuses[i].message()));
  }
  return absl::OkStatus();
}

absl::Status VersionLoader::Load(const std::vector<VertexVersion>& versions,
                                 const runtime::Patience& patience,
                                 const Interrupted& interrupted) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<ReplicaLoad> replicas,
                            LoadOnEndpoints(versions, patience, interrupted));
  return LoadOnReplicas(replicas, interrupted);
}

void VersionLoader::Unload(const std::set<ServedVersion>& versions,
                           const std::function<std::set<ServedVersion>()>& needed,
                           const Ended& ended) {
  Unload(
      versions, [this](const std::string& replica) { return ProcessesOf(replica); }, needed, ended);
}

void VersionLoader::UnloadFrom(const std::string& target, const std::set<ServedVersion>& versions,
                               const std::function<std::set<ServedVersion>()>& needed,
                               const Ended& ended) {
  Unload(
      versions, [&](const std::string&) { return std::vector{target}; }, needed, ended);
}

void VersionLoader::Unload(const std::set<ServedVersion>& versions, const Targets& targets,
                           const std::function<std::set<ServedVersion>()>& needed,
                           const Ended& ended) {
  {
    MutexLock lock(mutex_);
    unloading_.insert(versions.begin(), versions.end());
  }
  // From here on a load of one of them waits; what was loaded before is known to be needed.
  const std::set<ServedVersion> kept = needed();
  const auto let_go = [this](const ServedVersion& served) {
    MutexLock lock(mutex_);
    unloading_.erase(unloading_.find(served));
    kept_.NotifyAll();
  };
  for (const ServedVersion& served : versions) {
    if (kept.count(served) > 0) let_go(served);
  }
  std::vector<ServedVersion> unneeded;
  std::set_difference(versions.begin(), versions.end(), kept.begin(), kept.end(),
                      std::back_inserter(unneeded));
  // All at once: a service that hangs does not keep the others' versions from being loaded again.
  Mutex telling;
  const auto count = static_cast<int64_t>(unneeded.size());
  ParallelFor(count, static_cast<int>(std::min(count, kMostUnloads)), [&](int64_t i) {
    const ServedVersion& served = unneeded[static_cast<size_t>(i)];
    for (const std::string& target : targets(served.first)) {
      const absl::Status unloaded = host_.UnloadVersion(target, served.second);
      MutexLock lock(telling);
      ended(served, unloaded);
    }
    let_go(served);
  });
}

}  // namespace backfire::execution
