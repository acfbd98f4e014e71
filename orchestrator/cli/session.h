#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "google/protobuf/message.h"
#include "orchestrator/cli/exit_code.h"
#include "services/rpc/security.h"

namespace CLI {
class App;
}

namespace backfire::cli {

/// What a run of `backfire` works with. Commands add themselves to the command line and set
/// `action` when they are chosen; it runs after all arguments were read.
struct Session {
  std::ostream* out = nullptr;              ///< Answers.
  std::ostream* err = nullptr;              ///< Progress and complaints.
  std::filesystem::path program_directory;  ///< Where `backfire` itself is.
  std::filesystem::path data_directory;     ///< --data-dir.
  std::string orchestrator;                 ///< --orchestrator; empty: orchestrator_target says.
  std::string format = "text";              ///< `text`, `table` (the same) or `json`.
  std::string actor;                        ///< Who asks, for the record: `ada@laptop`.
  runtime::SecurityOptions security;
  std::function<absl::StatusOr<ExitCode>()> action;

  /// Where the mesh's token is: --token-file, or `token` in the data directory.
  std::filesystem::path token_file() const;
  /// The orchestrator's gRPC target: --orchestrator, or that of the mesh that runs in the data
  /// directory, or the socket where `up` would have it.
  std::string orchestrator_target() const;
  /// Reads a system's file as the orchestrator is to get it: if it is the data directory's, or on
  /// another socket, vertices without endpoints are where `up` puts them. Errors as
  /// system::LoadSystemFile.
  absl::StatusOr<v1::System> LoadSystem(const std::string& file) const;
  /// Shows the token, if there is one, and the certificate to all that is called from now on.
  absl::Status ShowIdentity() const;

  bool json() const { return format == "json"; }
  /// Writes a message as JSON, or `text`, as --format says.
  absl::Status Print(const google::protobuf::Message& message, const std::string& text) const;
};

/// Adds a command. `help` is a sentence; what follows a blank line in it, with the example, is
/// shown below the options and only in the command's own help.
CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& help);

/// Adds a command that talks to the orchestrator, with --orchestrator and --format, and does `run`.
CLI::App& AddAction(CLI::App& topic, Session& session, const std::string& name,
                    const std::string& help, std::function<absl::StatusOr<ExitCode>()> run);

/// Add --data-dir, --orchestrator and --format to a command.
void AddDataDirectory(CLI::App& command, Session& session);
void AddOrchestrator(CLI::App& command, Session& session);
void AddFormat(CLI::App& command, Session& session);

/// Adds --request-id to a command that changes something.
void AddRequestId(CLI::App& command, std::string& request_id);

/// Add the commands of a topic.
void AddMeshCommands(CLI::App& app, Session& session);     ///< up, down, status.
void AddSystemCommands(CLI::App& app, Session& session);   ///< system apply, show, validate.
void AddUpdateCommands(CLI::App& app, Session& session);   ///< update propose, watch, ...
void AddReleaseCommands(CLI::App& app, Session& session);  ///< release list, promote, ...
void AddVersionCommands(CLI::App& app, Session& session);  ///< version list, import, ...
void AddConformanceCommand(CLI::App& app, Session& session);
void AddReportCommand(CLI::App& app, Session& session);
void AddHealthcheckCommand(CLI::App& app, Session& session);
void AddFsckCommand(CLI::App& app, Session& session);

}  // namespace backfire::cli
