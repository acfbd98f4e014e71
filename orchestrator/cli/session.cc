#include "orchestrator/cli/session.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <utility>

#include "orchestrator/report/json_report.h"
#include "services/base/command_line.h"
#include "services/base/status.h"
#include "services/rpc/credentials.h"

namespace backfire::cli {

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
                  "Where the mesh keeps versions, logs, state and the token that it is called "
                  "with; else BACKFIRE_DATA_DIR of the environment")
      ->capture_default_str();
}

void AddOrchestrator(CLI::App& command, Session& session) {
  AddDataDirectory(command, session);  // For the token.
  command
      .add_option("--orchestrator", session.orchestrator,
                  "The orchestrator's gRPC target; else BACKFIRE_ORCHESTRATOR of the environment")
      ->capture_default_str();
}

void AddRequestId(CLI::App& command, std::string& request_id) {
  command.add_option("--request-id", request_id,
                     "Names this call: the same again is done once, however often it is made");
}

void AddFormat(CLI::App& command, Session& session) { AddFormatOption(command, session.format); }

}  // namespace backfire::cli
