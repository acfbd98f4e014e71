#include "orchestrator/ledger/signal.h"

namespace backfire::ledger {

int64_t Signal::count() const {
  MutexLock lock(mutex_);
  return count_;
}

void Signal::Notify() {
  MutexLock lock(mutex_);
  ++count_;
  news_.NotifyAll();
}

bool Signal::Wait(int64_t seen, absl::Duration timeout) const {
  MutexLock lock(mutex_);
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  while (count_ == seen && !stopped_) {
    if (!news_.WaitUntil(mutex_, deadline)) break;
  }
  return !stopped_;
}

void Signal::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  news_.NotifyAll();
}

bool Signal::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

}  // namespace backfire::ledger
