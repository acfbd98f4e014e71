#include "services/rpc/rpc_server.h"

#include <dlfcn.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <prometheus/exposer.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/rpc/process_metrics.h"
#include "services/rpc/rpc_metrics.h"

// The HTTP server of /metrics (civetweb) asks for stacks of 100 KiB. glibc takes the thread-local
// variables of all libraries out of a thread's stack, and LibTorch's alone are larger, so that its
// threads could not be made. It has no option for the size; here the least becomes 1 MiB.
extern "C" int pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size) {
  using Function = int (*)(pthread_attr_t*, size_t);
  static const auto next =
      reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "pthread_attr_setstacksize"));
  return next(attributes, std::max(size, size_t{1} << 20));
}

namespace backfire::runtime {
namespace {

// gRPC removes a socket file that stands in its way, also one that another process listens on.
absl::Status CheckSocketIsFree(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("--listen: a unix socket's path must have 1 to ",
                                                   sizeof(address.sun_path) - 1, " bytes: got ",
                                                   path.size()));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return ErrnoToStatus(errno, "socket");
  const int result =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  ::close(descriptor);
  if (result == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("--listen: another process already listens on unix:", path));
  }
  return absl::OkStatus();
}

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

class SampledMetrics final : public prometheus::Collectable {
 public:
  explicit SampledMetrics(std::function<std::vector<prometheus::MetricFamily>()> sample)
      : sample_(std::move(sample)) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return sample_(); }

 private:
  const std::function<std::vector<prometheus::MetricFamily>()> sample_;
};

}  // namespace

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
  app.add_option("--drain-seconds", drain_seconds,
                 "How long calls in flight may go on after SIGTERM")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-connection-seconds", max_connection_seconds,
                 "Close a connection after so long, once its calls have ended, so that clients "
                 "spread anew; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86'400.0));
  app.add_option("--log-level", log.level, "trace, debug, info, warning, error or off")
      ->capture_default_str();
  app.add_option("--log-format", log.format, "text or json")->capture_default_str();
}

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // A limit on files is the write's error, and not the process's end.
}

struct RpcServer::State {
  RpcServerOptions options;
  std::shared_ptr<prometheus::Registry> registry;
  std::string endpoint;
  std::string metrics_endpoint;
  Mutex mutex;
  // The exposer itself holds them weakly.
  std::vector<std::shared_ptr<prometheus::Collectable>> samples ABSL_GUARDED_BY(mutex);
  std::unique_ptr<prometheus::Exposer> exposer;
  std::unique_ptr<grpc::Server> server;
  bool drained = false;
};

RpcServer::RpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

RpcServer::~RpcServer() {
  if (!state_->drained) Drain();
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options, const std::vector<grpc::Service*>& services,
    std::shared_ptr<prometheus::Registry> registry) {
  const bool is_unix = absl::StartsWith(options.listen, "unix:");
  const size_t colon = options.listen.rfind(':');
  if (!is_unix &&
      (colon == std::string::npos || colon == 0 || colon + 1 == options.listen.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen must be HOST:PORT or unix:PATH: got \"", options.listen, "\""));
  }
  if (is_unix) {
    BACKFIRE_RETURN_IF_ERROR(
        CheckSocketIsFree(std::string(absl::StripPrefix(options.listen, "unix:"))));
  }
  auto state = std::make_unique<State>();
  state->options = options;
  state->registry =
      registry != nullptr ? std::move(registry) : std::make_shared<prometheus::Registry>();

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  // Without this a second server on the same port takes turns with the first, silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  const int limit = static_cast<int>(
      std::min<int64_t>(options.max_message_bytes, std::numeric_limits<int32_t>::max()));
  builder.SetMaxReceiveMessageSize(limit);
  builder.SetMaxSendMessageSize(limit);
  for (const auto& [name, value] : TransportArguments()) builder.AddChannelArgument(name, value);
  // Clients' keepalive pings (channel.cc) come more often than a server tolerates by default.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // A client that is gone without a word, a laptop that sleeps, must not hold its watches' threads.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  if (options.max_connection_seconds > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(options.max_connection_seconds * 1000) + 1);
  }
  // A thread per call in flight, watches included; calls beyond get RESOURCE_EXHAUSTED.
  grpc::ResourceQuota quota(options.name);
  quota.SetMaxThreads(options.max_calls);
  builder.SetResourceQuota(quota);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeServerRpcMetrics(*state->registry));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  state->server = builder.BuildAndStart();
  if (state->server == nullptr || (!is_unix && port == 0)) {
    return absl::AlreadyExistsError(
        absl::StrCat("--listen: cannot listen on ", options.listen,
                     ": the port is in use, or the host is not an address of this machine"));
  }
  state->endpoint =
      is_unix ? options.listen : absl::StrCat(options.listen.substr(0, colon), ":", port);
  if (!options.metrics_listen.empty()) {
    try {
      state->exposer = std::make_unique<prometheus::Exposer>(options.metrics_listen, 1);
      state->exposer->RegisterCollectable(state->registry);
      state->exposer->RegisterCollectable(ClientRpcRegistry());
      state->metrics_endpoint =
          absl::StrCat(options.metrics_listen.substr(0, options.metrics_listen.rfind(':')), ":",
                       state->exposer->GetListeningPorts().front());
    } catch (const std::exception& error) {
      state->server->Shutdown();
      return absl::AlreadyExistsError(absl::StrCat("--metrics-listen: cannot listen on ",
                                                   options.metrics_listen, ": ", error.what()));
    }
  }
  std::unique_ptr<RpcServer> server(new RpcServer(std::move(state)));
  server->AddMetrics([program = options.name] { return ProcessMetrics(program); });
  server->SetServing("liveness", true);
  server->SetServing(false);
  spdlog::info("server state=LISTENING endpoint={} metrics={}", server->endpoint(),
               server->metrics_endpoint());
  return server;
}

void RpcServer::SetServing(bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus("", serving);
  SetReady(serving);
}

void RpcServer::SetReady(bool ready) { SetServing("readiness", ready); }

void RpcServer::SetServing(const std::string& model, bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus(model, serving);
}

const std::string& RpcServer::endpoint() const { return state_->endpoint; }

const std::string& RpcServer::metrics_endpoint() const { return state_->metrics_endpoint; }

prometheus::Registry& RpcServer::metrics() { return *state_->registry; }

void RpcServer::AddMetrics(std::function<std::vector<prometheus::MetricFamily>()> sample) {
  MutexLock lock(state_->mutex);
  if (state_->exposer == nullptr) return;
  const auto& metrics =
      state_->samples.emplace_back(std::make_shared<SampledMetrics>(std::move(sample)));
  state_->exposer->RegisterCollectable(metrics);
}

absl::Status RpcServer::WaitForSignalThenDrain(const std::function<void()>& on_drain) {
  const sigset_t signals = ShutdownSignals();
  int signal = 0;
  if (const int error = sigwait(&signals, &signal); error != 0) {
    return ErrnoToStatus(error, "sigwait");
  }
  spdlog::info("server state=DRAINING signal={}", strsignal(signal));
  Drain(on_drain);
  spdlog::info("server state=STOPPED");
  return absl::OkStatus();
}

void RpcServer::Drain(const std::function<void()>& on_drain) {
  // All names at once; later SetServing calls are ignored.
  state_->server->GetHealthCheckService()->Shutdown();
  if (on_drain) on_drain();
  state_->server->Shutdown(
      std::chrono::system_clock::now() +
      std::chrono::milliseconds(static_cast<int64_t>(state_->options.drain_seconds * 1000)));
  state_->server->Wait();
  {
    MutexLock lock(state_->mutex);
    state_->exposer.reset();
  }
  // The server object stays: threads that report health may still come by.
  state_->drained = true;
}

}  // namespace backfire::runtime
