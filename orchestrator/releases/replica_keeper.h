#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "orchestrator/execution/job_backend.h"
#include "orchestrator/execution/version_loader.h"
#include "orchestrator/ledger/ledger.h"
#include "services/base/mutex.h"

namespace backfire::releases {

/// Has replicas have what is live or staged, and nothing else: they come, go, and come back empty,
/// or with what is served no more. Thread-safe.
class ReplicaKeeper {
 public:
  /// All borrowed.
  ReplicaKeeper(ledger::Ledger& ledger, execution::VersionHost& host,
                execution::VersionLoader& loader);
  ~ReplicaKeeper();
  ReplicaKeeper(const ReplicaKeeper&) = delete;
  ReplicaKeeper& operator=(const ReplicaKeeper&) = delete;

  void Start();
  void Stop();
  /// Looks after every replica once.
  void RunOnce();

 private:
  void Loop();
  // Of one of a replica's processes. By version.
  absl::Status Refill(const std::string& replica, const std::string& target,
                      const std::map<std::string, std::string>& digests);
  absl::Status UnloadOthers(const std::string& replica, const std::string& target,
                            const std::string& model);

  ledger::Ledger& ledger_;
  execution::VersionHost& host_;
  execution::VersionLoader& loader_;
  std::atomic<bool> stopping_{false};
  std::map<std::string, std::string> errors_;  // Of processes, the last time. Of one thread.
  Mutex mutex_;
  CondVar stop_;
  std::thread thread_;
};

}  // namespace backfire::releases
