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
  using Interrupted = std::function<bool()>;

  /// All borrowed.
  /// @param drain_limit  How long a release that was replaced stays loaded for gateways that go on
  ///                     reporting it.
  ReleaseManager(ledger::Ledger& ledger, execution::VersionLoader& loader,
                 GatewayRegistry& gateways, const Clock& clock,
                 std::chrono::milliseconds drain_limit);
  ~ReleaseManager();
  ReleaseManager(const ReleaseManager&) = delete;
  ReleaseManager& operator=(const ReleaseManager&) = delete;

  /// Retires in the background.
  void Start();
  /// Ends waiting. The ledger must be stopped before.
  void Stop();

  /// Has all versions of a release loaded that the live one does not serve, and keeps them so while
  /// `commit` is decided; lets go of them if that fails. Services that go on with what they serve
  /// are not asked: one that hangs delays no switch that it has no part in. A RETIRED release is
  /// PREPARING meanwhile. UNAVAILABLE, DEADLINE_EXCEEDED: a service can't load its version, or
  /// hasn't answered for 10 s (a shorter `service_timeout` of the system's), or until `until`:
  /// names its vertex. UNAVAILABLE: this process ends. CANCELLED: interrupted. Else as `commit`.
  /// @param commit       Makes it live; all that it was decided by must be looked at again, as time
  ///                     has passed.
  /// @param interrupted  Whether nobody waits for it any more.
  /// @param until        When it must be known what came of it, for somebody who waits.
  absl::Status Switch(int64_t release, const std::function<absl::Status()>& commit,
                      const Interrupted& interrupted,
                      Clock::SteadyTime until = Clock::SteadyTime::max());

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
  // Has a release not be retired until Unhold. DEADLINE_EXCEEDED: it is half unloaded at that time.
  absl::Status Hold(int64_t release, const Interrupted& interrupted, Clock::SteadyTime until);
  // Which vertices' services have a part of it that is being unloaded, and don't come to an end.
  absl::Status StillUnloading(int64_t release) const;
  absl::Status PrepareRetired(int64_t release);
  void Unhold(int64_t release);
  // `limit` is for services that don't answer, `until` for those that do.
  absl::Status Load(int64_t release, const Interrupted& interrupted, Clock::SteadyTime limit,
                    Clock::SteadyTime until);
  int64_t TakeNextToRetire();
  // Whether a release has been draining for longer than the limit.
  bool IsOverdue(int64_t release, Clock::SteadyTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Retire(int64_t release);
  void Postpone(int64_t release, const absl::Status& status);

  ledger::Ledger& ledger_;
  execution::VersionLoader& loader_;
  GatewayRegistry& gateways_;
  const Clock& clock_;
  const std::chrono::milliseconds drain_limit_;
  std::atomic<bool> stopping_{false};
  std::map<int64_t, Postponed> postponed_;  // Of the one thread that retires.
  Mutex mutex_;
  CondVar retired_;
  std::multiset<int64_t> wanted_ ABSL_GUARDED_BY(mutex_);  // Releases that are to become live.
  int64_t retiring_ ABSL_GUARDED_BY(mutex_) = 0;           // 0: none.
  // Releases that drain, and since when this process has seen them do so.
  std::map<int64_t, Clock::SteadyTime> draining_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace backfire::releases
