#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/logging.h"
#include "services/rpc/channel.h"
#include "services/rpc/identities.h"
#include "services/rpc/listener_watch.h"
#include "services/rpc/roles.h"
#include "services/rpc/security.h"

namespace CLI {
class App;
}

namespace backfire::runtime {

/// What every server of the mesh is told at its start.
struct RpcServerOptions {
  std::string name = "server";         ///< In logs.
  std::string listen = "localhost:0";  ///< `HOST:PORT` (port 0: any free one) or `unix:PATH`.
  std::string metrics_listen;          ///< `HOST:PORT` of the HTTP page `/metrics`; empty: none.
  int64_t max_message_bytes = kDefaultMaxMessageBytes;
  /// Memory that what is received and sent may take, over all connections together.
  int64_t memory_bytes = int64_t{2} << 30;
  /// Calls in flight, watches included, that are answered at once: one thread each. More are
  /// refused with RESOURCE_EXHAUSTED, so there must be room for all that may wait by the service's
  /// own rules.
  int max_calls = 256;
  /// How long calls in flight may go on after SIGTERM.
  double drain_seconds = 10;
  /// A connection is closed after so long, once its calls have ended: clients keep theirs, and
  /// would never come to a process that has been added, nor leave one that is to end. 0: never.
  double max_connection_seconds = 0;
  ListenerWatchOptions listener_watch;
  SecurityOptions security;
  /// Which methods there are, and who may call them.
  Surface surface = Surface::kModelService;
  /// Tells who callers are; null: made of `security`, if it guards anything.
  std::shared_ptr<const Identities> identities;
  /// Where calls that change something are written down (audit_log.h); empty: nowhere.
  std::filesystem::path audit_log;
  /// Whether the log says that it listens, and to whom.
  bool announced = true;
  LogOptions log;

  /// Adds the flags --listen, --metrics-listen, --max-message-bytes, --rpc-memory-bytes,
  /// --drain-seconds, --max-connection-seconds, --log-level and --log-format, and those of
  /// SecurityOptions.
  void AddTo(CLI::App& app);
};

/// Blocks SIGTERM and SIGINT, so that WaitForSignalThenDrain gets them, and ignores SIGPIPE
/// and SIGXFSZ. Call it first in main: threads inherit the mask.
void BlockShutdownSignals();

/// A gRPC server with what every process of the mesh has: health v1, reflection, Prometheus metrics
/// (of calls, rpc_metrics.h, and of the process, process_metrics.h), raised message limits, orderly
/// shutdown. It raises the process's limit on descriptors, takes connections only while there are
/// some to spare (listener.h), and watches itself (listener_watch.h). Thread-safe.
class RpcServer {
 public:
  /// Listens and answers; health says NOT_SERVING until SetServing, but SERVING of the service
  /// `liveness`, for whoever starts again what hangs. INVALID_ARGUMENT: malformed address.
  /// ALREADY_EXISTS: the address is in use. FAILED_PRECONDITION: it is open to other machines, and
  /// there is no TLS (credentials.h). Errors of the files that `options.security` names.
  /// @param services  Borrowed until the server has been destroyed.
  /// @param registry  What /metrics shows; if null, the server makes one.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const RpcServerOptions& options, const std::vector<grpc::Service*>& services,
      std::shared_ptr<prometheus::Registry> registry = nullptr);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  /// Sets the health of the whole server (health service name ""), and of `readiness`.
  void SetServing(bool serving);
  /// Sets the health of `readiness` alone: whether requests should be sent here now.
  void SetReady(bool ready);
  /// Sets the health of one model.
  void SetServing(const std::string& model, bool serving);
  /// Where clients reach it: the target, with the port that was chosen.
  const std::string& endpoint() const;
  /// Where /metrics is, `HOST:PORT` with the port that was chosen; empty: nowhere.
  const std::string& metrics_endpoint() const;
  prometheus::Registry& metrics();
  /// Shows more on /metrics: `sample` is asked at each scrape, on threads of the server, until it
  /// has drained. Its families have names of their own (sampled_family.h).
  void AddMetrics(std::function<std::vector<prometheus::MetricFamily>()> sample);

  /// Waits for SIGTERM or SIGINT, says NOT_SERVING, calls `on_drain` (which should end streams and
  /// long work), and lets calls in flight finish. INTERNAL: the same, because the server no longer
  /// answers its own calls.
  absl::Status WaitForSignalThenDrain(const std::function<void()>& on_drain = nullptr);
  /// The second half of the former, for tests: drains at once.
  void Drain(const std::function<void()>& on_drain = nullptr);

 private:
  struct State;
  void Begin();
  explicit RpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace backfire::runtime
