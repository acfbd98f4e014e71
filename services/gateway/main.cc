#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <random>

#include "absl/strings/str_format.h"
#include "services/base/command_line.h"
#include "services/base/memory.h"
#include "services/base/status.h"
#include "services/gateway/gateway_backend.h"
#include "services/gateway/gateway_health.h"
#include "services/gateway/release_watcher.h"
#include "services/gateway/vertex_prober.h"
#include "services/rpc/byte_budget.h"
#include "services/rpc/credentials.h"
#include "services/rpc/identities.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/sampled_family.h"
#include "services/runtime/inference_service.h"

namespace backfire::gateway {
namespace {

struct Settings {
  runtime::RpcServerOptions server;
  std::string orchestrator = "localhost:7010";
  std::string name;
  int running = 16;
  int queue = 64;
};

absl::Status Run(const Settings& settings) {
  BACKFIRE_RETURN_IF_ERROR(InitLogging(settings.server.log, settings.server.name));
  BACKFIRE_RETURN_IF_ERROR(runtime::ShowIdentity(settings.server.security));
  const auto registry = std::make_shared<prometheus::Registry>();
  auto& vertex_seconds = prometheus::BuildHistogram()
                             .Name("backfire_gateway_vertex_seconds")
                             .Help("Time from a vertex's request to its response.")
                             .Register(*registry);
  auto& reruns = prometheus::BuildCounter()
                     .Name("backfire_gateway_reruns_total")
                     .Help("Requests that were run again on another release.")
                     .Register(*registry)
                     .Add({});

  auto& sent_again = prometheus::BuildCounter()
                         .Name("backfire_gateway_vertex_retries_total")
                         .Help("Requests of a vertex that were sent to another replica.")
                         .Register(*registry);

  GatewayHealth health;  // Threads of the prober and the watcher use it.
  VertexServices services;
  services.took = [&](const std::string& vertex, double seconds) {
    vertex_seconds.Add({{"vertex", vertex}}, runtime::SecondsBuckets()).Observe(seconds);
  };
  services.sent_again = [&](const std::string& vertex) {
    sent_again.Add({{"vertex", vertex}}).Increment();
  };
  VertexProber prober(services.channels, services.names,
                      [&](const VertexProber::Faults& faults) { health.Probed(faults); });
  ReleaseWatcher watcher(settings.orchestrator, settings.name,
                         [&](const ReleaseView* view, bool hears) {
                           if (view != nullptr) {
                             // From the start, so that a rate does not miss the first of them.
                             for (const auto& [vertex, model] : view->models) {
                               sent_again.Add({{"vertex", vertex}});
                             }
                             prober.Follow(*view);
                           }
                           health.Released(view, hears);
                         });
  const GatewayBackend backend(watcher, prober, services, [&] { reruns.Increment(); });
  runtime::InferenceService::Options inference;
  inference.server_name = settings.server.name;
  inference.running = settings.running;
  inference.waiting = settings.queue;
  inference.per_model = true;
  runtime::RpcServerOptions server_options = settings.server;
  if (settings.server.security.guarded()) {
    BACKFIRE_ASSIGN_OR_RETURN(server_options.identities,
                              runtime::Identities::Open(settings.server.security));
  }
  runtime::ByteBudget received(settings.server.memory_bytes, server_options.identities);
  inference.received = &received;
  runtime::InferenceService service(inference, backend);
  BACKFIRE_ASSIGN_OR_RETURN(const auto server,
                            runtime::RpcServer::Start(server_options, {&service}, registry));
  server->AddMetrics([&] { return service.Metrics(); });
  server->AddMetrics([&] { return health.Metrics(); });
  health.Begin([&](const std::string& name, bool serving) {
    if (name.empty()) return server->SetServing(serving);
    server->SetServing(name, serving);
  });
  absl::Status stopped = server->WaitForSignalThenDrain();
  health.Begin(nullptr);  // Its threads outlive the server.
  return stopped;
}

}  // namespace
}  // namespace backfire::gateway

int main(int argc, char** argv) {
  backfire::KeepFreedMemory();
  backfire::runtime::BlockShutdownSignals();
  backfire::gateway::Settings settings;
  settings.server.name = "gateway";
  settings.server.surface = backfire::runtime::Surface::kGateway;
  // Each vertex has its own places; how many vertices there will be is not known yet.
  settings.server.max_calls = 4096;
  CLI::App app(
      "Runs requests through a whole system, on one release each.\n\nServes the Open Inference "
      "Protocol: the model name is the system's, or a vertex's; the version is a release.\n"
      "Example: gateway --listen=localhost:7000 --orchestrator=localhost:7010",
      "gateway");
  settings.server.AddTo(app);
  app.add_option("--orchestrator", settings.orchestrator, "gRPC target that says what is served")
      ->capture_default_str();
  app.add_option(
      "--name", settings.name,
      "What the orchestrator shows it as, with a number that no other gateway has; default: its "
      "address on its host");
  app.add_option("--running", settings.running, "Requests that run at once, of each model")
      ->capture_default_str()
      ->check(CLI::Range(1, 200));
  app.add_option("--queue", settings.queue,
                 "Requests that may wait, of each model; more are refused")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  if (settings.name.empty()) {
    char host[256] = "";
    ::gethostname(host, sizeof(host) - 1);
    settings.name = std::string(host) + "/" + settings.server.listen;
  }
  // Two of one name would pass for one, and what the other still serves could be unloaded.
  settings.name += absl::StrFormat("#%08x", std::random_device()());
  const absl::Status status = backfire::gateway::Run(settings);
  if (status.ok()) return 0;
  std::cerr << "gateway: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
