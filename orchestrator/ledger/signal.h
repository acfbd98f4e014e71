#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "services/base/mutex.h"

namespace backfire::ledger {

/// Tells threads that wait for news that there are some. Thread-safe.
class Signal {
 public:
  /// A number that grows with every news.
  int64_t count() const;
  void Notify();
  /// Waits until count() is not `seen`, or for `timeout`. False: there will be no more news.
  bool Wait(int64_t seen, absl::Duration timeout) const;
  /// Ends all waiting, for good.
  void Stop();
  bool stopped() const;

 private:
  mutable Mutex mutex_;
  mutable CondVar news_;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace backfire::ledger
