#include <signal.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/cli/mesh.h"
#include "orchestrator/cli/mesh_plan.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/report/progress_report.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/report/update_report.h"
#include "orchestrator/system/system_file.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/run_directory.h"
#include "services/rpc/token.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

struct UpOptions {
  std::string system_file;
  std::string dataset;
  int replicates = 0;
  std::string gateway = kDefaultGateway;
  double timeout_seconds = 60;
  bool foreground = false;
};

absl::StatusOr<ExitCode> Up(const Session& session, const UpOptions& options) {
  runtime::BlockShutdownSignals();
  BACKFIRE_ASSIGN_OR_RETURN(v1::System system, system::LoadSystemFile(options.system_file));
  if (!options.dataset.empty()) system.set_dataset(options.dataset);
  if (options.replicates > 0) system.set_replicates(options.replicates);

  const std::filesystem::path data_directory = std::filesystem::absolute(session.data_directory);
  PlaceOnSockets(data_directory, system);
  const std::string target =
      session.orchestrator.empty() ? OrchestratorSocket(data_directory) : session.orchestrator;
  // What was typed beside the file is no fault of the file's.
  BACKFIRE_RETURN_IF_ERROR(Annotate(CheckEndpoint(data_directory, options.gateway), "--gateway"));
  if (!session.orchestrator.empty()) {
    BACKFIRE_RETURN_IF_ERROR(Annotate(CheckEndpoint(data_directory, target), "--orchestrator"));
  }
  MeshOptions mesh_options{data_directory, session.program_directory, target, options.gateway,
                           std::filesystem::absolute(options.system_file).string()};
  absl::StatusOr<Mesh> plan = PlanMesh(system, mesh_options);
  if (!plan.ok()) return Annotate(plan.status(), options.system_file);
  plan->set_system_file(mesh_options.system_file);
  std::set<std::string> others;  // Services that run already.
  for (const v1::Vertex& vertex : system.vertices()) {
    const std::vector<std::string> endpoints = graph::ServingEndpoints(vertex);
    others.insert(endpoints.begin(), endpoints.end());
  }
  for (const MeshProcess& process : plan->processes()) others.erase(process.endpoint());

  const Tell tell = [&session](const std::string& line) { *session.err << line << std::endl; };
  BACKFIRE_RETURN_IF_ERROR(runtime::MakeRunDirectory(data_directory));
  BACKFIRE_RETURN_IF_ERROR(runtime::MakeTokenFile(session.token_file()));
  BACKFIRE_RETURN_IF_ERROR(session.ShowIdentity());
  LocalMesh mesh(data_directory);
  BringUpOptions bring_up{absl::Seconds(options.timeout_seconds), options.foreground,
                          session.token_file()};
  const int process_count = plan->processes_size();
  BACKFIRE_ASSIGN_OR_RETURN(
      const int started,
      mesh.BringUp(*std::move(plan), {others.begin(), others.end()}, bring_up, tell));

  OrchestratorClient orchestrator(target);
  v1::ApplySystemRequest request;
  *request.mutable_system() = system;
  request.set_actor(session.actor);
  const absl::StatusOr<v1::ApplySystemResponse> applied =
      orchestrator.Call(&Stub::ApplySystem, request, absl::Seconds(120));
  if (!applied.ok()) {
    // A mesh that was up before works on for the system that it has.
    if (started == process_count) {
      BACKFIRE_RETURN_IF_ERROR(mesh.BringDown(absl::Seconds(15), tell).status());
    }
    return system::LocateInSystemFile(applied.status(), options.system_file);
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      *applied,
      absl::StrCat("the mesh is up: system ", system.name(), ", revision ", applied->revision(),
                   "; gateway ", options.gateway, ", orchestrator ", target,
                   "\nbaseline: ", applied->update(), " (`backfire update watch baseline`)\n")));
  if (!options.foreground) return ExitCode::kOk;

  tell("Ctrl-C ends the mesh");
  const absl::Status ended = mesh.AwaitSignal();
  BACKFIRE_RETURN_IF_ERROR(mesh.BringDown(absl::Seconds(15), tell).status());
  BACKFIRE_RETURN_IF_ERROR(ended);
  return ExitCode::kInterrupted;
}

absl::StatusOr<ExitCode> Down(const Session& session, double grace_seconds) {
  // An impatient second Ctrl-C must not leave half of the mesh.
  runtime::BlockShutdownSignals();
  LocalMesh mesh(session.data_directory);
  const Tell tell = [&session](const std::string& line) { *session.err << line << std::endl; };
  BACKFIRE_ASSIGN_OR_RETURN(const int ended, mesh.BringDown(absl::Seconds(grace_seconds), tell));
  *session.out << (ended > 0 ? "the mesh is down\n" : "no mesh was up\n");
  return ExitCode::kOk;
}

/// What `status` knows of the orchestrator, as far as it answers.
struct OrchestratorView {
  v1::GetSystemResponse system;
  std::string live;
  std::vector<v1::Update> open;
};

absl::StatusOr<OrchestratorView> ReadOrchestrator(const std::string& target) {
  OrchestratorClient client(target);
  OrchestratorView view;
  constexpr absl::Duration kTimeout = absl::Seconds(5);
  BACKFIRE_ASSIGN_OR_RETURN(view.system,
                            client.Call(&Stub::GetSystem, v1::GetSystemRequest(), kTimeout));
  BACKFIRE_ASSIGN_OR_RETURN(const auto releases,
                            client.Call(&Stub::ListReleases, v1::ListReleasesRequest(), kTimeout));
  for (const v1::Release& release : releases.releases()) {
    if (release.state() == v1::Release::LIVE) view.live = release.name();
  }
  BACKFIRE_ASSIGN_OR_RETURN(const auto updates,
                            client.Call(&Stub::ListUpdates, v1::ListUpdatesRequest(), kTimeout));
  for (const v1::Update& listed : updates.updates()) {
    if (report::HasEnded(listed)) continue;
    v1::GetUpdateRequest request;
    request.set_name(listed.name());
    BACKFIRE_ASSIGN_OR_RETURN(view.open.emplace_back(),
                              client.Call(&Stub::GetUpdate, request, kTimeout));
  }
  return view;
}

absl::StatusOr<ExitCode> Status(const Session& session) {
  const LocalMesh mesh(session.data_directory);
  absl::StatusOr<std::vector<LocalMesh::ProcessReport>> processes = mesh.Inspect(absl::Seconds(2));
  if (absl::IsNotFound(processes.status())) processes = std::vector<LocalMesh::ProcessReport>();
  BACKFIRE_RETURN_IF_ERROR(processes.status());
  const std::string target = session.orchestrator_target();
  bool all_up = !processes->empty();
  report::TextTable table({{"process"},
                           {"pid", report::TextTable::Align::kRight},
                           {"health"},
                           {"endpoint"},
                           {"metrics"},
                           {"log"}});
  google::protobuf::Struct document;
  auto& listed = *(*document.mutable_fields())["processes"].mutable_list_value();
  for (const auto& [process, running, health] : *processes) {
    all_up = all_up && running && health != Health::kUnreachable;
    const std::string state = running ? HealthName(health) : "ENDED";
    table.AddRow({process.name(), running ? absl::StrCat(process.pid()) : "-", state,
                  process.endpoint(), process.metrics_endpoint(), process.log()});
    auto& fields = *listed.add_values()->mutable_struct_value()->mutable_fields();
    fields["name"].set_string_value(process.name());
    fields["pid"].set_number_value(running ? process.pid() : 0);
    fields["health"].set_string_value(state);
    fields["endpoint"].set_string_value(process.endpoint());
    fields["metrics"].set_string_value(process.metrics_endpoint());
    fields["log"].set_string_value(process.log());
  }
  std::string text = processes->empty() ? absl::StrCat("no mesh was started in ",
                                                       session.data_directory.string(), "\n")
                                        : table.ToString();
  auto& fields = *document.mutable_fields();
  const absl::StatusOr<OrchestratorView> view = ReadOrchestrator(target);
  if (view.ok()) {
    absl::StrAppend(&text, "\nsystem ", view->system.system().name(), ", revision ",
                    view->system.revision(), "; live: ", view->live.empty() ? "none" : view->live,
                    "\n");
    for (const v1::Update& update : view->open) {
      absl::StrAppend(&text, absl::StrJoin(report::ProgressLines(update), "\n"), "\n");
    }
    fields["system"].set_string_value(view->system.system().name());
    fields["revision"].set_number_value(static_cast<double>(view->system.revision()));
    fields["live"].set_string_value(view->live);
    auto& open = *fields["open_updates"].mutable_list_value();
    for (const v1::Update& update : view->open) {
      auto& entry = *open.add_values()->mutable_struct_value()->mutable_fields();
      entry["name"].set_string_value(update.name());
      entry["title"].set_string_value(report::UpdateTitle(update));
      entry["state"].set_string_value(v1::Update::State_Name(update.state()));
    }
  } else if (absl::IsNotFound(view.status())) {
    absl::StrAppend(&text, "\nno system was applied yet\n");
  } else {
    absl::StrAppend(&text, "\n", std::string(view.status().message()), "\n");
    fields["orchestrator_error"].set_string_value(std::string(view.status().message()));
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(document, text));
  return all_up ? ExitCode::kOk : ExitCode::kUnavailable;
}

}  // namespace

void AddMeshCommands(CLI::App& app, Session& session) {
  auto& up = AddCommand(
      app, "up",
      "Start a system's services, the orchestrator and the gateway on this machine, and apply the "
      "system\n\nWhat of it runs already is left alone. The mesh runs on until `backfire down`. "
      "What the system names no endpoint for, and the orchestrator, listens on sockets in the "
      "folder `run` of --data-dir, which only you can enter; metrics are on ports above the "
      "gateway's (`backfire status` lists them). Two meshes at once need two of --data-dir and of "
      "--gateway.\n"
      "Example: backfire up deploy/systems/stereo.yaml --dataset 'kitti:/data/kitti?train=train"
      "&validation=val&test=test'");
  const auto up_options = std::make_shared<UpOptions>();
  up.add_option("system", up_options->system_file, "The system's YAML file")->required();
  up.add_option("--dataset", up_options->dataset, "URI to use instead of the file's `dataset`");
  up.add_option("--replicates", up_options->replicates, "Number to use instead of the file's")
      ->check(CLI::Range(1, 100));
  up.add_option("--gateway", up_options->gateway,
                "Where the gateway listens, HOST:PORT or unix:PATH")
      ->capture_default_str();
  up.add_option("--timeout", up_options->timeout_seconds, "Seconds until all must be up")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  up.add_flag("--foreground", up_options->foreground,
              "Stay, and end the mesh on Ctrl-C or when any of its processes ends");
  AddDataDirectory(up, session);
  AddOrchestrator(up, session);
  AddFormat(up, session);
  up.callback([&session, up_options] {
    session.action = [&session, up_options] { return Up(session, *up_options); };
  });

  auto& down =
      AddCommand(app, "down", "End the mesh that `backfire up` started\n\nExample: backfire down");
  const auto grace_seconds = std::make_shared<double>(15);
  down.add_option("--grace", *grace_seconds,
                  "Seconds that processes have to end by themselves before they are killed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  AddDataDirectory(down, session);
  down.callback([&session, grace_seconds] {
    session.action = [&session, grace_seconds] { return Down(session, *grace_seconds); };
  });

  auto& status = AddCommand(
      app, "status",
      "Show processes, health, system, live release and running updates\n\nExits 3 if something of "
      "the mesh is not up.\nExample: backfire status --format json");
  AddDataDirectory(status, session);
  AddOrchestrator(status, session);
  AddFormat(status, session);
  status.callback([&session] { session.action = [&session] { return Status(session); }; });
}

}  // namespace backfire::cli
