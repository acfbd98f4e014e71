#pragma once

#include <prometheus/collectable.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/mutex.h"
#include "services/rpc/listener.h"

namespace backfire::runtime {

/// Serves `/metrics` to Prometheus over HTTP. One thread answers all connections, none of which it
/// waits for: a client that sends half a request, or reads slowly, delays no other, and is closed
/// after `patience`, or earlier if `kMostConnections` are open. Thread-safe.
class MetricsServer {
 public:
  static constexpr size_t kMostConnections = 64;

  /// @param address  `HOST:PORT`; port 0 is any free one.
  /// ALREADY_EXISTS, INVALID_ARGUMENT: as Listener::Bind.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& address,
      std::chrono::milliseconds patience = std::chrono::milliseconds(5'000));
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  /// Shows what `collectable` has, from now on. It is asked at each scrape, on the server's thread.
  void Add(std::shared_ptr<const prometheus::Collectable> collectable);
  /// The address, with the port that was chosen.
  const std::string& address() const { return listener_->address(); }

 private:
  struct Connection;

  MetricsServer(std::unique_ptr<Listener> listener, std::chrono::milliseconds patience);
  void Run();
  bool Receive(Connection& connection) const;
  std::string Page() const;

  const std::unique_ptr<Listener> listener_;
  const std::chrono::milliseconds patience_;
  const int wake_;  ///< An eventfd.
  mutable Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> arrived_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const prometheus::Collectable>> shown_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace backfire::runtime
