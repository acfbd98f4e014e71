#pragma once

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "services/base/mutex.h"

namespace backfire::runtime {

/// While it lives, cancels a call once `cancelled` says so: a blocking read ends by nothing else.
class CancellationWatch {
 public:
  /// @param context, cancelled  Borrowed.
  CancellationWatch(grpc::ClientContext& context, const std::function<bool()>& cancelled)
      : thread_([this, &context, &cancelled] {
          MutexLock lock(mutex_);
          while (!done_) {
            wake_.WaitUntil(mutex_,
                            std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
            if (!done_ && cancelled()) context.TryCancel();
          }
        }) {}
  ~CancellationWatch() {
    {
      MutexLock lock(mutex_);
      done_ = true;
      wake_.NotifyAll();
    }
    thread_.join();
  }
  CancellationWatch(const CancellationWatch&) = delete;
  CancellationWatch& operator=(const CancellationWatch&) = delete;

 private:
  Mutex mutex_;
  CondVar wake_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// Waits for `time`, or until `cancelled` says so.
inline void WaitUnlessCancelled(std::chrono::milliseconds time,
                                const std::function<bool()>& cancelled) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end && !cancelled()) {
    never.WaitUntil(
        mutex, std::min(end, std::chrono::steady_clock::now() + std::chrono::milliseconds(100)));
  }
}

}  // namespace backfire::runtime
