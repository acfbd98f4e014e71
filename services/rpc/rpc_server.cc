#include "services/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/rpc/audit_log.h"
#include "services/rpc/call_budget.h"
#include "services/rpc/certificate_expiry.h"
#include "services/rpc/credentials.h"
#include "services/rpc/descriptors.h"
#include "services/rpc/door.h"
#include "services/rpc/freed_memory.h"
#include "services/rpc/grpc_log.h"
#include "services/rpc/listener.h"
#include "services/rpc/metrics_server.h"
#include "services/rpc/process_metrics.h"
#include "services/rpc/reflection_v1.h"
#include "services/rpc/rpc_metrics.h"
#include "services/rpc/sampled_family.h"

namespace backfire::runtime {
namespace {

// Of the calls that are answered at once, what one identity may have: three quarters, so that the
// last places are somebody else's.
constexpr int kPartOfOne = 3, kPartsOfAll = 4;

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

/// Limits and keepalive of all connections.
void SetTransport(const RpcServerOptions& options, grpc::ServerBuilder& builder) {
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
}

/// Who is let in, and what is written down of it.
struct Guard {
  std::shared_ptr<const Identities> identities;  ///< Null: everybody is let in.
  std::shared_ptr<AuditLog> audit;
  std::shared_ptr<CallBudget> budget;  ///< Not null where identities aren't.
  std::shared_ptr<grpc::ServerCredentials> credentials;
};

absl::StatusOr<Guard> MakeGuard(const RpcServerOptions& options, prometheus::Registry& registry) {
  Guard guard;
  guard.identities = options.identities;
  if (guard.identities == nullptr && options.security.guarded()) {
    BACKFIRE_ASSIGN_OR_RETURN(guard.identities, Identities::Open(options.security));
  }
  if (!options.audit_log.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(guard.audit, AuditLog::Open(options.audit_log));
  }
  std::shared_ptr<Door> door;
  if (guard.identities != nullptr) {
    guard.budget =
        std::make_shared<CallBudget>(std::max(1, options.max_calls * kPartOfOne / kPartsOfAll));
    door = std::make_shared<Door>(options.surface, guard.identities, guard.audit, guard.budget,
                                  registry);
  }
  BACKFIRE_ASSIGN_OR_RETURN(guard.credentials,
                            ServerCredentialsFor(options.security, options.listen, door));
  return guard;
}

std::vector<prometheus::MetricFamily> ConnectionMetrics(const Listener& listener) {
  prometheus::MetricFamily connections = CounterFamily(
      "backfire_connections_total", "Connections that came: taken, or closed for lack of room.");
  AddSample(connections, {{"result", "accepted"}}, static_cast<double>(listener.accepted()));
  AddSample(connections, {{"result", "refused"}}, static_cast<double>(listener.refused()));
  return {std::move(connections)};
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

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // A limit on files is the write's error, and not the process's end.
}

struct RpcServer::State {
  RpcServerOptions options;
  std::shared_ptr<prometheus::Registry> registry;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  Mutex mutex;
  std::unique_ptr<MetricsServer> metrics ABSL_GUARDED_BY(mutex);
  std::string metrics_endpoint;
  std::unique_ptr<ListenerWatch> watch;
  const FreedMemory freed_memory;
  std::atomic<bool> deaf = false;
  bool drained = false;
};

RpcServer::RpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

RpcServer::~RpcServer() {
  if (!state_->drained) Drain();
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options, const std::vector<grpc::Service*>& services,
    std::shared_ptr<prometheus::Registry> registry) {
  auto state = std::make_unique<State>();
  state->options = options;
  state->registry =
      registry != nullptr ? std::move(registry) : std::make_shared<prometheus::Registry>();
  RouteGrpcLog();
  BACKFIRE_ASSIGN_OR_RETURN(const Guard guard, MakeGuard(options, *state->registry));
  const int64_t highest = HighestConnection(RaiseDescriptorLimit());
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Bind(options.listen, highest);
  if (!listener.ok()) return Annotate(listener.status(), "--listen");
  state->listener = *std::move(listener);
  std::unique_ptr<MetricsServer> metrics;
  if (!options.metrics_listen.empty()) {
    absl::StatusOr<std::unique_ptr<MetricsServer>> page =
        MetricsServer::Start(options.metrics_listen);
    if (!page.ok()) return Annotate(page.status(), "--metrics-listen");
    metrics = *std::move(page);
    metrics->Add(state->registry);
    metrics->Add(ClientRpcRegistry());
    state->metrics_endpoint = metrics->address();
  }

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  InitReflectionV1ServerBuilderPlugin();
  grpc::ServerBuilder builder;
  using FromWhere = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  state->acceptor =
      builder.experimental().AddExternalConnectionAcceptor(FromWhere::FROM_FD, guard.credentials);
  SetTransport(options, builder);
  // A thread per call in flight, watches included; calls beyond get RESOURCE_EXHAUSTED, as do those
  // whose messages would not fit into the memory that all connections have together.
  grpc::ResourceQuota quota(options.name);
  quota.SetMaxThreads(options.max_calls);
  quota.Resize(static_cast<size_t>(options.memory_bytes));
  builder.SetResourceQuota(quota);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeServerRpcMetrics(*state->registry));
  if (guard.audit != nullptr) {
    interceptors.push_back(MakeAudit(options.surface, guard.audit, guard.identities));
  }
  if (guard.budget != nullptr) {
    interceptors.push_back(MakeBudgetKeeper(guard.budget, guard.identities));
  }
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  state->server = builder.BuildAndStart();
  if (state->server == nullptr) return absl::InternalError("gRPC can't start a server");
  {
    MutexLock lock(state->mutex);
    state->metrics = std::move(metrics);
  }
  std::unique_ptr<RpcServer> server(new RpcServer(std::move(state)));
  server->Begin();
  return server;
}

void RpcServer::Begin() {
  AddMetrics([program = state_->options.name] { return ProcessMetrics(program); });
  if (const SecurityOptions& security = state_->options.security; security.tls()) {
    AddMetrics([file = security.tls_certificate] { return CertificateMetrics(file); });
  }
  AddMetrics([state = state_.get()] { return ConnectionMetrics(*state->listener); });
  SetServing("liveness", true);
  SetServing(false);
  state_->listener->Accept([acceptor = state_->acceptor.get()](int listener, int connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listener;
    parameters.fd = connection;
    acceptor->HandleNewConnection(&parameters);
  });
  state_->watch = std::make_unique<ListenerWatch>(
      endpoint(), state_->options.listener_watch, [state = state_.get()] {
        state->deaf = true;
        ::kill(::getpid(), SIGTERM);  // WaitForSignalThenDrain has the rest of it.
      });
  if (!state_->options.announced) return;
  const SecurityOptions& security = state_->options.security;
  spdlog::info("server state=LISTENING endpoint={} metrics={}", endpoint(), metrics_endpoint());
  if (!security.guarded()) {
    spdlog::warn(
        "server state=OPEN endpoint={} reason=\"whoever reaches it may do everything: "
        "give --token-file or TLS\"",
        endpoint());
  }
}

void RpcServer::SetServing(bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus("", serving);
  SetReady(serving);
}

void RpcServer::SetReady(bool ready) { SetServing("readiness", ready); }

void RpcServer::SetServing(const std::string& model, bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus(model, serving);
}

const std::string& RpcServer::endpoint() const { return state_->listener->address(); }

const std::string& RpcServer::metrics_endpoint() const { return state_->metrics_endpoint; }

prometheus::Registry& RpcServer::metrics() { return *state_->registry; }

void RpcServer::AddMetrics(std::function<std::vector<prometheus::MetricFamily>()> sample) {
  MutexLock lock(state_->mutex);
  if (state_->metrics == nullptr) return;
  state_->metrics->Add(std::make_shared<SampledMetrics>(std::move(sample)));
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
  if (!state_->deaf) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the listener at ", endpoint(),
                   " no longer answers its own process, nor anybody else: start it again"));
}

void RpcServer::Drain(const std::function<void()>& on_drain) {
  state_->watch.reset();
  // All names at once; later SetServing calls are ignored.
  state_->server->GetHealthCheckService()->Shutdown();
  if (on_drain) on_drain();
  state_->listener->Stop();
  state_->server->Shutdown(
      std::chrono::system_clock::now() +
      std::chrono::milliseconds(static_cast<int64_t>(state_->options.drain_seconds * 1000)));
  state_->server->Wait();
  std::unique_ptr<MetricsServer> metrics;
  {
    MutexLock lock(state_->mutex);
    metrics = std::move(state_->metrics);
  }
  // The server object stays: threads that report health may still come by.
  state_->drained = true;
}

}  // namespace backfire::runtime
