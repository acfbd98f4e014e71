#include "orchestrator/cli/session.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <utility>

#include "orchestrator/cli/mesh.h"
#include "orchestrator/cli/mesh_plan.h"
#include "orchestrator/cli/process.h"
#include "orchestrator/report/json_report.h"
#include "orchestrator/system/system_file.h"
#include "services/base/command_line.h"
#include "services/base/status.h"
#include "services/rpc/address.h"
#include "services/rpc/credentials.h"

namespace backfire::cli {
namespace {

/// Where the orchestrator of the mesh that runs in a data directory is; empty: none runs. One that
/// has ended is not asked for: what is at its port now is another's.
std::string RunningOrchestrator(const std::filesystem::path& data_directory) {
  const absl::StatusOr<Mesh> mesh = LocalMesh(data_directory).Read();
  if (!mesh.ok()) return "";
  for (const MeshProcess& process : mesh->processes()) {
    const ProcessId id{static_cast<pid_t>(process.pid()), process.start_ticks()};
    if (process.name() == "orchestrator" && IsRunning(id)) return process.endpoint();
  }
  return "";
}

}  // namespace

absl::Status Session::Print(const google::protobuf::Message& message,
                            const std::string& text) const {
  if (!json()) {
    *out << text << std::flush;
    return absl::OkStatus();
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string document, report::ToJson(message));
  *out << document << std::flush;
  return absl::OkStatus();
}

std::filesystem::path Session::token_file() const {
  if (!security.token_file.empty() || data_directory.empty()) return security.token_file;
  return std::filesystem::absolute(data_directory) / "token";
}

std::string Session::orchestrator_target() const {
  if (!orchestrator.empty()) return orchestrator;
  const std::string running = RunningOrchestrator(data_directory);
  return running.empty() ? OrchestratorSocket(data_directory) : running;
}

absl::StatusOr<v1::System> Session::LoadSystem(const std::string& file) const {
  BACKFIRE_ASSIGN_OR_RETURN(v1::System system, system::LoadSystemFile(file));
  // To a container or to another machine a socket of this one is nothing: the orchestrator there
  // says what is missing.
  const std::string target = orchestrator_target();
  if (runtime::IsUnix(target) || target == RunningOrchestrator(data_directory)) {
    PlaceOnSockets(data_directory, system);
  }
  return system;
}

absl::Status Session::ShowIdentity() const {
  runtime::SecurityOptions shown = security;
  std::error_code error;
  // Services that were started by hand may have none.
  if (shown.token_file.empty() && std::filesystem::exists(token_file(), error)) {
    shown.token_file = token_file();
  }
  return runtime::ShowIdentity(shown);
}

CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& help) {
  const size_t blank = help.find("\n\n");
  CLI::App& command = *parent.add_subcommand(name, help.substr(0, blank));
  command.footer(blank == std::string::npos ? "" : help.substr(blank + 2));
  return command;
}

CLI::App& AddAction(CLI::App& topic, Session& session, const std::string& name,
                    const std::string& help, std::function<absl::StatusOr<ExitCode>()> run) {
  CLI::App& command = AddCommand(topic, name, help);
  AddOrchestrator(command, session);
  AddFormat(command, session);
  command.callback([&session, run = std::move(run)] { session.action = run; });
  return command;
}

void AddDataDirectory(CLI::App& command, Session& session) {
  if (command.get_option_no_throw("--data-dir") != nullptr) return;
  command
      .add_option("--data-dir", session.data_directory,
                  "Where the mesh keeps versions, logs, state, its sockets and the token that it "
                  "is called with; else BACKFIRE_DATA_DIR of the environment")
      ->capture_default_str();
}

void AddOrchestrator(CLI::App& command, Session& session) {
  AddDataDirectory(command, session);  // For the token, and the socket.
  command.add_option("--orchestrator", session.orchestrator,
                     "The orchestrator's gRPC target; else BACKFIRE_ORCHESTRATOR of the "
                     "environment, or that of the mesh in --data-dir");
}

void AddRequestId(CLI::App& command, std::string& request_id) {
  command.add_option("--request-id", request_id,
                     "Names this call: the same again is done once, however often it is made");
}

void AddFormat(CLI::App& command, Session& session) { AddFormatOption(command, session.format); }

}  // namespace backfire::cli
