#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/execution/job_backend.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::execution {

/// A version where it is served: endpoint and version.
using ServedVersion = std::pair<std::string, std::string>;

/// Has versions loaded and unloaded, and keeps the two from crossing: what is being unloaded is not
/// loaded before that has ended, and what became needed meanwhile is not unloaded. Thread-safe.
class VersionLoader {
 public:
  using Interrupted = std::function<bool()>;
  /// A version of a vertex.
  struct VertexVersion {
    v1::Vertex vertex;
    std::string version;
  };

  /// @param host, clock  Borrowed.
  VersionLoader(VersionHost& host, const Clock& clock) : host_(host), clock_(clock) {}

  /// Has each version loaded at its vertex's endpoint, then on the vertices' replicas, all at once:
  /// those that are away, or slow, are passed over. CANCELLED: interrupted. DATA_LOSS: a replica
  /// has something else by a version's name.
  absl::Status Load(const std::vector<VertexVersion>& versions, const runtime::Patience& patience,
                    const Interrupted& interrupted);
  /// One attempt on one replica. DATA_LOSS: it has something else than `digest`, if that is known,
  /// by that name.
  absl::Status LoadOnReplica(const std::string& replica, const std::string& version,
                             const std::string& digest, const Interrupted& interrupted);

  /// Unloads versions, one attempt each, but for those that are needed.
  /// @param needed  All that is needed now. Asked once nothing can be loaded behind its back.
  /// @param ended   Told the result of each that was tried.
  void Unload(const std::set<ServedVersion>& versions,
              const std::function<std::set<ServedVersion>()>& needed,
              const std::function<void(const ServedVersion&, const absl::Status&)>& ended);

 private:
  struct ReplicaLoad {
    std::string replica, version, digest;  // The digest is its endpoint's, if known.
  };
  absl::Status LoadOnEndpoint(const VertexVersion& wanted, const runtime::Patience& patience,
                              const Interrupted& interrupted, std::vector<ReplicaLoad>& replicas);
  absl::Status LoadOnReplicas(const std::vector<ReplicaLoad>& replicas,
                              const Interrupted& interrupted);
  // Waits until this version is not being unloaded. CANCELLED: interrupted.
  absl::Status WaitUntilKept(const ServedVersion& served, const Interrupted& interrupted);

  VersionHost& host_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar kept_;
  std::multiset<ServedVersion> unloading_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::execution
