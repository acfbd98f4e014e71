#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace backfire {

/// Where the time comes from, so that tests can give it. Thread-safe.
class Clock {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  /// The time of day, for people: it jumps when somebody sets it.
  virtual absl::Time Now() const = 0;
  /// For leases and pauses: it never jumps, and means nothing outside the process.
  virtual SteadyTime Steady() const = 0;
};

/// The machine's clocks.
const Clock& MachineClock();

}  // namespace backfire
