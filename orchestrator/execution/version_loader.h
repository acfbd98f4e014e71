#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/execution/job_backend.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"
#include "services/rpc/name_follower.h"

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
    std::string digest;  ///< The version's; empty: not known.
  };

  /// @param host, clock  Borrowed.
  VersionLoader(VersionHost& host, const Clock& clock) : host_(host), clock_(clock) {}

  /// Has the versions loaded at their vertices' endpoints, all at once, then on the vertices'
  /// replicas, all at once: those that are away, or slow, are passed over. What fails names the
  /// vertex; of several that are away, each. CANCELLED: interrupted. DATA_LOSS: a service has
  /// something else by a version's name.
  absl::Status Load(const std::vector<VertexVersion>& versions, const runtime::Patience& patience,
                    const Interrupted& interrupted);
  /// What one of a replica's processes should load.
  struct ReplicaLoad {
    std::string replica, target, version;
    std::string digest;  ///< Its endpoint's; empty: not known.
  };
  /// One attempt. DATA_LOSS: the process has something else by the version's name.
  absl::Status LoadOnReplica(const ReplicaLoad& load, const Interrupted& interrupted);

  /// What is being unloaded now: a load of the same waits for it.
  std::set<ServedVersion> Unloading() const;

  /// The targets of the processes of an endpoint or a replica: one, but of `dns:NAME:PORT`.
  std::vector<std::string> ProcessesOf(const std::string& replica);

  /// Tells the result for each process that was tried; never two at once, on any thread.
  using Ended = std::function<void(const ServedVersion&, const absl::Status&)>;
  /// Unloads versions from every process, one attempt each, all at once, but for those that are
  /// needed.
  /// @param needed  All that is needed now. Asked once nothing can be loaded behind its back.
  void Unload(const std::set<ServedVersion>& versions,
              const std::function<std::set<ServedVersion>()>& needed, const Ended& ended);
  /// The same from one process of a replica.
  void UnloadFrom(const std::string& target, const std::set<ServedVersion>& versions,
                  const std::function<std::set<ServedVersion>()>& needed, const Ended& ended);

 private:
  absl::Status LoadOnEndpoint(const VertexVersion& wanted, const runtime::Patience& patience,
                              const Interrupted& interrupted, std::vector<ReplicaLoad>& replicas);
  absl::StatusOr<std::vector<ReplicaLoad>> LoadOnEndpoints(
      const std::vector<VertexVersion>& versions, const runtime::Patience& patience,
      const Interrupted& interrupted);
  absl::Status LoadOnReplicas(const std::vector<ReplicaLoad>& replicas,
                              const Interrupted& interrupted);
  using Targets = std::function<std::vector<std::string>(const std::string& replica)>;
  void Unload(const std::set<ServedVersion>& versions, const Targets& targets,
              const std::function<std::set<ServedVersion>()>& needed, const Ended& ended);
  // Waits until this version is not being unloaded. CANCELLED: interrupted. DEADLINE_EXCEEDED: it
  // still is when `patience` ends; what is left of that otherwise.
  absl::StatusOr<runtime::Patience> WaitUntilKept(const ServedVersion& served,
                                                  const runtime::Patience& patience,
                                                  const Interrupted& interrupted);

  VersionHost& host_;
  const Clock& clock_;
  runtime::NameFollower names_;
  mutable Mutex mutex_;
  CondVar kept_;
  std::multiset<ServedVersion> unloading_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::execution
