#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "services/base/mutex.h"

namespace backfire::execution {

/// Runs pieces of work that mostly wait, each on a thread of its own: one that ran another before,
/// as starting a thread costs more than what a short step does on it, or else a new one. As many
/// are kept as ever ran at once. Thread-safe.
class StepThreads {
 public:
  StepThreads() = default;
  /// Waits for what still runs.
  ~StepThreads();
  StepThreads(const StepThreads&) = delete;
  StepThreads& operator=(const StepThreads&) = delete;

  /// Returns at once. `work` must not throw.
  void Run(std::function<void()> work);

 private:
  void Work();

  Mutex mutex_;
  CondVar given_;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::execution
