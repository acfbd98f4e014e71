#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>

#include "orchestrator/ledger/ledger.h"
#include "orchestrator/retention/pruner.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::retention {

/// Has the system's own retention obeyed with nobody asking: whenever an update was decided or has
/// ended, a release was retired or another retention was applied, and as time passes. Does nothing
/// for a system whose file says nothing of retention. Thread-safe.
class RetentionKeeper {
 public:
  /// All borrowed.
  RetentionKeeper(ledger::Ledger& ledger, Pruner& pruner, const Clock& clock)
      : ledger_(ledger), pruner_(pruner), clock_(clock) {}
  ~RetentionKeeper() { Stop(); }
  RetentionKeeper(const RetentionKeeper&) = delete;
  RetentionKeeper& operator=(const RetentionKeeper&) = delete;

  void Start();
  /// Waits for its thread, which ends once the ledger has stopped.
  void Stop();
  /// Lets go of what is to go now, if anything can have changed since the last time. What a service
  /// that is away keeps from being deleted is tried again a minute later, or with the next change.
  void RunOnce();

 private:
  /// All that what can be deleted depends on, but for the time: retention, updates with work left,
  /// releases that are not RETIRED with their states.
  using Circumstances = std::tuple<std::string, std::set<int64_t>, std::map<int64_t, int>>;
  static Circumstances Look(const records::State& state, const v1::Retention& retention);

  ledger::Ledger& ledger_;
  Pruner& pruner_;
  const Clock& clock_;
  Mutex mutex_;
  /// When it last looked for updates that are to go, and by what circumstances.
  Circumstances seen_ ABSL_GUARDED_BY(mutex_);
  int64_t seen_minute_ ABSL_GUARDED_BY(mutex_) = -1;
  /// With what a pass was last done to its end: circumstances, and which updates were to go.
  std::pair<Circumstances, std::set<int64_t>> done_ ABSL_GUARDED_BY(mutex_);
  std::string error_ ABSL_GUARDED_BY(mutex_);  ///< Of the last pass; empty: it went well.
  std::thread thread_;
};

}  // namespace backfire::retention
