#pragma once

#include <chrono>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/execution/job_backend.h"
#include "orchestrator/ledger/ledger.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::retention {

/// Lets go of what a retention does not keep: decided updates, their releases, and then versions in
/// the services that made them (orchestrator/commands/prune.h says which). Thread-safe; one pass at
/// a time.
class Pruner {
 public:
  /// All borrowed.
  Pruner(ledger::Ledger& ledger, execution::VersionHost& host, const Clock& clock)
      : ledger_(ledger), host_(host), clock_(clock) {}

  /// One pass; what it could not end, the next one goes on with. Errors: those of
  /// commands::RetentionOf, and of a service that can't list or delete versions. CANCELLED: the
  /// ledger has stopped.
  /// @param patience  How long releases that are let go may take to be unloaded everywhere, before
  /// their versions are left to the next pass.
  absl::StatusOr<v1::PruneUpdatesResponse> Prune(const v1::PruneUpdatesRequest& request,
                                                 std::chrono::seconds patience);

 private:
  void AwaitRetirement(const std::set<std::string>& releases, std::chrono::seconds patience) const;

  ledger::Ledger& ledger_;
  execution::VersionHost& host_;
  const Clock& clock_;
  Mutex pass_;
};

}  // namespace backfire::retention
