#pragma once

#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::testing {

/// A clock that stands still until it is told otherwise. Thread-safe.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  SteadyTime Steady() const override {
    MutexLock lock(mutex_);
    return steady_;
  }
  /// Time passes, on both clocks.
  void Advance(absl::Duration time) {
    MutexLock lock(mutex_);
    now_ += time;
    steady_ += absl::ToChronoNanoseconds(time);
  }
  /// Somebody sets the time of day.
  void Jump(absl::Duration time) {
    MutexLock lock(mutex_);
    now_ += time;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'700'000'000);
  SteadyTime steady_ ABSL_GUARDED_BY(mutex_) = SteadyTime() + std::chrono::hours(1);
};

}  // namespace backfire::testing
