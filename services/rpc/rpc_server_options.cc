#include <CLI/CLI.hpp>
#include <limits>

#include "services/rpc/rpc_server.h"

namespace backfire::runtime {

void RpcServerOptions::AddTo(CLI::App& app) {
  app.add_option("--listen", listen,
                 "Where to serve gRPC: HOST:PORT (0: any free port) or unix:PATH")
      ->capture_default_str();
  app.add_option("--metrics-listen", metrics_listen,
                 "Where to serve Prometheus' /metrics over HTTP: HOST:PORT; none if empty");
  app.add_option("--max-message-bytes", max_message_bytes,
                 "Largest gRPC message that is sent or received")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1} << 20, int64_t{std::numeric_limits<int32_t>::max()}));
  app.add_option("--rpc-memory-bytes", memory_bytes,
                 "Memory that the messages of all connections may take together; a call beyond it "
                 "is refused")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{64} << 20, int64_t{1} << 40));
  app.add_option("--drain-seconds", drain_seconds,
                 "How long calls in flight may go on after SIGTERM")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-connection-seconds", max_connection_seconds,
                 "Close a connection after so long, once its calls have ended, so that clients "
                 "spread anew; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86'400.0));
  security.AddTo(app);
  app.add_option("--log-level", log.level, "trace, debug, info, warning, error or off")
      ->capture_default_str();
  app.add_option("--log-format", log.format, "text or json")->capture_default_str();
}

}  // namespace backfire::runtime
