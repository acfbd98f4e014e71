#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "services/base/mutex.h"
#include "services/gateway/release_view.h"

namespace grpc {
class ClientContext;
}

namespace backfire::gateway {

/// Follows an orchestrator's releases on a thread of its own, and reconnects, backing off, for as
/// long as it lives. Thread-safe.
class ReleaseWatcher {
 public:
  /// @param changed  Called on the watcher's thread with every new view.
  ReleaseWatcher(const std::string& orchestrator, const std::string& gateway_name,
                 std::function<void(const ReleaseView&)> changed);
  /// Ends the stream.
  ~ReleaseWatcher();
  ReleaseWatcher(const ReleaseWatcher&) = delete;
  ReleaseWatcher& operator=(const ReleaseWatcher&) = delete;

  /// The newest view; null before the first.
  std::shared_ptr<const ReleaseView> view() const;

 private:
  void Follow();
  void FollowOnce();

  const std::string orchestrator_;
  const std::string gateway_name_;
  const std::function<void(const ReleaseView&)> changed_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::shared_ptr<const ReleaseView> view_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace backfire::gateway
