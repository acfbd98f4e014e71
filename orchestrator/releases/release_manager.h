#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "orchestrator/execution/version_loader.h"
#include "orchestrator/ledger/ledger.h"
#include "orchestrator/releases/gateway_registry.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::releases {

/// Makes releases live and retires them, by the release policy: a release is loaded everywhere
/// before it becomes live, and unloaded once no gateway serves it. Thread-safe.
class ReleaseManager {
 public:
  /// All borrowed.
  ReleaseManager(ledger::Ledger& ledger, execution::VersionLoader& loader,
                 GatewayRegistry& gateways, const Clock& clock);
  ~ReleaseManager();
  ReleaseManager(const ReleaseManager&) = delete;
  ReleaseManager& operator=(const ReleaseManager&) = delete;

  /// Retires in the background.
  void Start();
  /// Ends waiting. The ledger must be stopped before.
  void Stop();

  /// Has all versions of a release loaded, and keeps them so while `commit` is decided; lets go of
  /// them if that fails. A RETIRED release is PREPARING meanwhile. UNAVAILABLE: a service can't
  /// load its version, or this process ends. Else as `commit`.
  /// @param commit  Makes it live; all that it was decided by must be looked at again, as time has
  ///                passed.
  absl::Status Switch(int64_t release, const std::function<absl::Status()>& commit);

  /// One turn of what Start does: forgets lost gateways, retires one release. Returns whether one
  /// was retired.
  bool RunOnce();

 private:
  // A release that could not be retired.
  struct Postponed {
    Clock::SteadyTime until;
    std::chrono::milliseconds pause{0};
    std::string error;
  };

  void Loop();
  // Lets go of what a process that ended had prepared.
  void LetGoOfAll();
  // Has a release not be retired until Unhold. False: this process ends.
  bool Hold(int64_t release);
  absl::Status PrepareRetired(int64_t release);
  void Unhold(int64_t release);
  absl::Status Load(int64_t release);
  int64_t TakeNextToRetire();
  absl::Status Retire(int64_t release);
  void Postpone(int64_t release, const absl::Status& status);
  bool IsStopping() const { return stopping_; }

  ledger::Ledger& ledger_;
  execution::VersionLoader& loader_;
  GatewayRegistry& gateways_;
  const Clock& clock_;
  std::atomic<bool> stopping_{false};
  std::map<int64_t, Postponed> postponed_;  // Of the one thread that retires.
  Mutex mutex_;
  CondVar retired_;
  std::multiset<int64_t> wanted_ ABSL_GUARDED_BY(mutex_);  // Releases that are to become live.
  int64_t retiring_ ABSL_GUARDED_BY(mutex_) = 0;           // 0: none.
  std::thread thread_;
};

}  // namespace backfire::releases
