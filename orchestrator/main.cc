#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>

#include "orchestrator/api/evidence_service.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/execution/model_service_client.h"
#include "orchestrator/store/sqlite_repository.h"
#include "services/base/clock.h"
#include "services/base/command_line.h"
#include "services/base/status.h"
#include "services/rpc/credentials.h"
#include "services/rpc/data_directory.h"
#include "services/rpc/process_metrics.h"
#include "services/rpc/rpc_server.h"

namespace backfire {
namespace {

absl::Status Run(runtime::RpcServerOptions options, const std::filesystem::path& data,
                 double lease_seconds, double drain_limit_seconds) {
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  };
  BACKFIRE_RETURN_IF_ERROR(InitLogging(options.log, options.name));
  BACKFIRE_RETURN_IF_ERROR(runtime::ShowIdentity(options.security));
  BACKFIRE_ASSIGN_OR_RETURN(const auto directory, runtime::DataDirectory::Open(data));
  options.surface = runtime::Surface::kOrchestrator;
  options.audit_log = data / "audit.jsonl";
  if (options.security.guarded()) {
    BACKFIRE_ASSIGN_OR_RETURN(options.identities, runtime::Identities::Open(options.security));
  }
  const auto registry = std::make_shared<prometheus::Registry>();
  BACKFIRE_ASSIGN_OR_RETURN(const auto repository,
                            store::SqliteRepository::Open(data / "orchestrator.sqlite"));
  execution::ModelServiceClient services;
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto plane,
      api::ControlPlane::Start({*repository, services, services, MachineClock(), *registry},
                               milliseconds(lease_seconds), milliseconds(drain_limit_seconds)));
  api::OrchestratorService service(*plane, options.identities);
  api::EvidenceService evidence(*plane);
  BACKFIRE_ASSIGN_OR_RETURN(const auto server,
                            runtime::RpcServer::Start(options, {&service, &evidence}, registry));
  server->AddMetrics([&] { return plane->SampleMetrics(); });
  server->AddMetrics([data] { return runtime::DiskMetrics(data); });
  server->SetServing(true);
  return server->WaitForSignalThenDrain([&] { plane->Stop(); });
}

}  // namespace
}  // namespace backfire

int main(int argc, char** argv) {
  backfire::runtime::BlockShutdownSignals();
  backfire::runtime::RpcServerOptions options;
  options.name = "orchestrator";
  std::filesystem::path data;
  CLI::App app(
      "Owns a system, its updates, verdicts and releases.\n\nServes backfire.v1.Orchestrator and "
      "UpdateEvidence.\n"
      "Example: orchestrator --listen=localhost:7010 --data-dir=/var/lib/backfire/orchestrator",
      "orchestrator");
  options.AddTo(app);
  app.add_option("--data-dir", data, "Where the state is kept; one process per directory")
      ->required();
  double lease_seconds = 10;
  app.add_option("--lease-seconds", lease_seconds,
                 "Seconds a silent gateway is assumed to go on serving what it last reported")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  double drain_limit_seconds =
      std::chrono::duration<double>(backfire::api::ControlPlane::kDrainLimit).count();
  app.add_option("--drain-limit-seconds", drain_limit_seconds,
                 "Seconds a replaced release stays loaded for gateways that go on reporting it; "
                 "longer than any request takes")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 604'800.0));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  const absl::Status status = backfire::Run(options, data, lease_seconds, drain_limit_seconds);
  if (status.ok()) return 0;
  std::cerr << "orchestrator: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
