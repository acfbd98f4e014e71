#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "backfire/v1/orchestrator.pb.h"
#include "services/base/mutex.h"
#include "services/gateway/release_view.h"

namespace grpc {
class ClientContext;
}

namespace backfire::gateway {

/// A view, held by a request from its beginning to its end: until the last copy of `ticket` has
/// gone, the orchestrator is told that the view is in use, and what it names stays loaded.
struct HeldView {
  std::shared_ptr<const ReleaseView> view;
  std::shared_ptr<const void> ticket;
};

/// Follows an orchestrator's releases on threads of its own, reports to it what is served and by
/// which view the oldest request in flight runs, and reconnects, backing off, for as long as it
/// lives. Thread-safe.
class ReleaseWatcher {
 public:
  /// @param changed  Called on the watcher's thread with the newest view (null before the first)
  ///                 whenever that, or whether the orchestrator can be heard, has changed.
  ReleaseWatcher(const std::string& orchestrator, const std::string& gateway_name,
                 std::function<void(const ReleaseView* view, bool connected)> changed);
  /// Says that this gateway leaves, and ends the stream. Requests in flight may outlive it.
  ~ReleaseWatcher();
  ReleaseWatcher(const ReleaseWatcher&) = delete;
  ReleaseWatcher& operator=(const ReleaseWatcher&) = delete;

  /// The newest view, and null before the first, held until the result has gone.
  HeldView Hold() const;
  /// The newest view, for looking at only.
  std::shared_ptr<const ReleaseView> view() const;

 private:
  struct Shared;
  void Follow();
  // True: the orchestrator answered.
  bool FollowOnce();
  void Take(const v1::ReleaseSnapshot& snapshot);

  const std::string orchestrator_;
  const std::string gateway_name_;
  const std::function<void(const ReleaseView*, bool)> changed_;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace backfire::gateway
