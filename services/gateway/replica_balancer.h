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
/// flight, in turn among equals, and last where a call failed a moment ago. Thread-safe.
class ReplicaBalancer {
 public:
  using Clock = std::chrono::steady_clock;
  /// An endpoint that failed is avoided for so long.
  static constexpr std::chrono::seconds kAvoided{1};

  /// Takes one of `endpoints` that is not among `tried`, and counts a call to it; empty: all were
  /// tried.
  std::string Begin(const std::vector<std::string>& endpoints, const std::set<std::string>& tried,
                    Clock::time_point now);
  /// Ends a call. `reached`: whether the endpoint could serve it.
  void End(const std::string& endpoint, bool reached, Clock::time_point now);

 private:
  struct Load {
    int64_t in_flight = 0;
    uint64_t last_turn = 0;
    Clock::time_point avoided_until;
  };

  Mutex mutex_;
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Load> loads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::gateway
