#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/base/mutex.h"

namespace backfire::gateway {

/// Chooses where a vertex that is served at several endpoints is called: where fewest calls are in
/// flight, in turn among equals, and last where the last call failed: for a while not at all, then
/// by one call at a time, until one is served. Thread-safe.
class ReplicaBalancer {
 public:
  using Clock = std::chrono::steady_clock;
  /// An endpoint that failed is avoided for so long; for twice as long after each further failure,
  /// up to kLongestAvoided.
  static constexpr std::chrono::seconds kAvoided{1}, kLongestAvoided{16};
  /// A process that restarts is away for less.
  static constexpr std::chrono::seconds kLikelyRestart{10};
  /// What a call said of its endpoint.
  enum class Outcome {
    kServed,
    kFailed,   ///< It could not serve the call; another might.
    kUnknown,  ///< Nothing: the call was called off.
  };

  /// Takes one of `endpoints` that is not among `tried`, and counts a call to it; empty: all were
  /// tried.
  std::string Begin(const std::vector<std::string>& endpoints, const std::set<std::string>& tried,
                    Clock::time_point now);
  void End(const std::string& endpoint, Outcome outcome, Clock::time_point now);
  /// Whether one of `endpoints` may be back in a moment: it has not failed for longer than
  /// kLikelyRestart.
  bool MayReturn(const std::vector<std::string>& endpoints, Clock::time_point now) const;

 private:
  struct Load {
    int64_t in_flight = 0;
    uint64_t last_turn = 0;
    int failures = 0;  // Since a call was served.
    Clock::time_point failing_since;
    Clock::time_point avoided_until;
  };

  // Without this, addresses of processes that have gone would gather.
  static constexpr size_t kMostKnown = 1024;
  void ForgetIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Load> loads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::gateway
