#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "services/base/mutex.h"

namespace backfire::runtime {

/// How a server is asked by itself whether it still answers.
struct ListenerWatchOptions {
  std::chrono::milliseconds period{10'000};   ///< Between calls.
  std::chrono::milliseconds timeout{10'000};  ///< Of one.
  int failures = 3;                           ///< In a row, that make it deaf.
};

/// Calls a server's health as any client would, by a new connection each time, and says when it is
/// deaf: when calls in a row got no answer at all. A refusal is an answer, as is a connection that
/// is closed because there are too many.
class ListenerWatch {
 public:
  /// @param on_deaf  Called once, on the watch's thread; the watch then ends.
  ListenerWatch(std::string target, const ListenerWatchOptions& options,
                std::function<void()> on_deaf);
  ~ListenerWatch();
  ListenerWatch(const ListenerWatch&) = delete;
  ListenerWatch& operator=(const ListenerWatch&) = delete;

 private:
  void Run();

  const std::string target_;
  const ListenerWatchOptions options_;
  const std::function<void()> on_deaf_;
  Mutex mutex_;
  CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace backfire::runtime
