#include "orchestrator/cli/evidence_commands.h"

#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <ostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

struct GateOptions {
  std::string update;
  bool wait = false;
};

// Becomes backfire-gate, which reads the lines from memory that has no name: nothing is left
// behind, however it ends.
absl::Status BecomeGate(const Session& session, const std::string& lines,
                        const std::vector<std::string>& arguments) {
  const int file = ::memfd_create("evidence", 0);
  if (file < 0) return ErrnoToStatus(errno, "memory for the evidence");
  for (size_t written = 0; written < lines.size();) {
    const ssize_t got = ::write(file, lines.data() + written, lines.size() - written);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoToStatus(errno, "memory for the evidence");
    written += static_cast<size_t>(got);
  }
  const std::string program = (session.program_directory / "backfire-gate").string();
  std::vector<std::string> all = {program, "--evidence", absl::StrCat("/proc/self/fd/", file)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& one : all) argv.push_back(one.data());
  argv.push_back(nullptr);
  session.out->flush();
  session.err->flush();
  ::execv(program.c_str(), argv.data());
  return ErrnoToStatus(errno, program);
}

absl::StatusOr<ExitCode> GateUpdate(const Session& session, const GateOptions& options,
                                    const std::vector<std::string>& rest) {
  OrchestratorClient orchestrator(session.orchestrator);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string name, orchestrator.ResolveUpdate(options.update));
  if (options.wait) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update,
                              orchestrator.WatchUpdate(name, [](const v1::Update&) {}));
    // No verdict, and no outage either.
    if (update.state() == v1::Update::FAILED || update.state() == v1::Update::CANCELLED) {
      *session.err << "backfire gate: " << name << " is " << v1::Update::State_Name(update.state())
                   << ": " << update.error_message() << std::endl;
      return update.state() == v1::Update::FAILED ? ExitCode::kFailed : ExitCode::kUndecided;
    }
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, orchestrator.ExportEvidence(name));
  return BecomeGate(session, lines, rest);
}

}  // namespace

void AddUpdateExport(CLI::App& topic, Session& session) {
  struct Options {
    std::string name, out;
  };
  const auto options = std::make_shared<Options>();
  CLI::App& command = AddCommand(
      topic, "export",
      "Write what a decided update's verdict was made of to a file\n\n`backfire gate --evidence "
      "FILE` makes the same verdict of it.\nExample: backfire update export latest --out "
      "evidence.jsonl");
  AddOrchestrator(command, session);
  command.add_option("update", options->name, "NUMBER or updates/NUMBER, or `latest`")->required();
  command.add_option("--out", options->out, "The file, of JSON Lines")->required();
  command.callback([&session, options] {
    session.action = [&session, options]() -> absl::StatusOr<ExitCode> {
      OrchestratorClient orchestrator(session.orchestrator);
      BACKFIRE_ASSIGN_OR_RETURN(const std::string name, orchestrator.ResolveUpdate(options->name));
      BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, orchestrator.ExportEvidence(name));
      BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(options->out, lines));
      *session.out << name << " is in " << options->out << std::endl;
      return ExitCode::kOk;
    };
  });
}

bool IsGateOnUpdate(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "gate") return false;
  return std::any_of(arguments.begin() + 1, arguments.end(), [](const std::string& argument) {
    return argument == "--update" || absl::StartsWith(argument, "--update=");
  });
}

void AddGateCommand(CLI::App& app, Session& session) {
  const auto options = std::make_shared<GateOptions>();
  CLI::App& command = AddCommand(
      app, "gate",
      "Judge an update of a mesh, or evaluation records, with a policy and outputs for CI\n\n"
      "Without --update it is backfire-gate alone: see `backfire gate --help`.\n"
      "Example: backfire gate --update latest --wait --junit gate.xml");
  command.allow_extras();
  AddOrchestrator(command, session);
  command.add_option("--update", options->update, "NUMBER or updates/NUMBER, or `latest`")
      ->required();
  command.add_flag("--wait", options->wait, "Until the update has a verdict");
  command.callback([&session, options, &command] {
    session.action = [&session, options, rest = command.remaining()] {
      return GateUpdate(session, *options, rest);
    };
  });
}

}  // namespace backfire::cli
