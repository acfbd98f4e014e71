#include "orchestrator/cli/evidence_commands.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <ostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/proposal.h"
#include "orchestrator/cli/update_flips.h"
#include "orchestrator/gate/memory_file.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

struct GateOptions {
  std::string update;
  std::string proposal;
  Proposal more;  // What is not in `proposal`.
  bool wait = false;
  bool retry = false;
  FlipsOptions flips;
};

// Whether an option of backfire-gate is among its arguments.
bool IsGiven(const std::vector<std::string>& arguments, const std::string& option) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return argument == option || absl::StartsWith(argument, absl::StrCat(option, "="));
  });
}

// Becomes backfire-gate, which reads the lines from memory that has no name.
absl::Status BecomeGate(const Session& session, const std::string& lines,
                        const std::optional<std::string>& flips,
                        std::vector<std::string> arguments) {
  BACKFIRE_ASSIGN_OR_RETURN(const gate::MemoryFile file,
                            gate::MemoryFile::Make("the evidence", lines));
  BACKFIRE_ASSIGN_OR_RETURN(const gate::MemoryFile frames,
                            gate::MemoryFile::Make("the flips", flips.value_or("")));
  if (flips.has_value()) {
    arguments.push_back("--flips");
    arguments.push_back(frames.path());
  }
  const std::string program = (session.program_directory / "backfire-gate").string();
  std::vector<std::string> all = {program, "--evidence", file.path()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& one : all) argv.push_back(one.data());
  argv.push_back(nullptr);
  session.out->flush();
  session.err->flush();
  ::execv(program.c_str(), argv.data());
  return ErrnoToStatus(errno, program);
}

// The update that is asked about: proposed now, if that is asked.
absl::StatusOr<std::string> FindUpdate(const Session& session, const GateOptions& options,
                                       OrchestratorClient& orchestrator) {
  if (options.proposal.empty()) return orchestrator.ResolveUpdate(options.update);
  BACKFIRE_ASSIGN_OR_RETURN(Proposal proposal, ParseProposal(options.proposal));
  if (!proposal.version.empty() && !options.more.parameters.empty()) {
    return absl::InvalidArgumentError("--set goes with a recipe, and a version was proposed");
  }
  proposal.parameters = options.more.parameters;
  proposal.replicates = options.more.replicates;
  proposal.looks = options.more.looks;
  proposal.actor = session.actor;
  BACKFIRE_ASSIGN_OR_RETURN(v1::Update update, FindOrPropose(orchestrator, proposal));
  *session.err << "backfire gate: proposed as " << update.name() << std::endl;
  if (options.retry && update.state() == v1::Update::FAILED) {
    v1::RetryUpdateRequest request;
    request.set_name(update.name());
    BACKFIRE_ASSIGN_OR_RETURN(update,
                              orchestrator.Call(&v1::Orchestrator::Stub::RetryUpdate, request));
  }
  return update.name();
}

absl::StatusOr<ExitCode> GateUpdate(const Session& session, const GateOptions& options,
                                    const std::vector<std::string>& rest) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const std::string name, FindUpdate(session, options, orchestrator));
  TrainingCurves curves;
  if (options.wait) {
    BACKFIRE_ASSIGN_OR_RETURN(
        const v1::Update update,
        orchestrator.WatchUpdate(name, [&](const v1::Update& change) { curves.Take(change); }));
    // No verdict, and no outage either.
    if (update.state() == v1::Update::FAILED || update.state() == v1::Update::CANCELLED) {
      *session.err << "backfire gate: " << name << " is " << v1::Update::State_Name(update.state())
                   << ": " << update.error_message() << std::endl;
      return update.state() == v1::Update::FAILED ? ExitCode::kFailed : ExitCode::kUndecided;
    }
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, orchestrator.ExportEvidence(name, &curves));
  std::optional<std::string> flips;
  if (IsGiven(rest, "--html") && !IsGiven(rest, "--flips")) {
    flips = MakeFlipsIfPossible(session, orchestrator, name, options.flips);
  }
  return BecomeGate(session, lines, flips, rest);
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
      OrchestratorClient orchestrator(session.orchestrator_target());
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
  return IsGiven(arguments, "--update") || IsGiven(arguments, "--propose");
}

void AddGateCommand(CLI::App& app, Session& session) {
  const auto options = std::make_shared<GateOptions>();
  CLI::App& command = AddCommand(
      app, "gate",
      "Judge an update of a mesh, or evaluation records, with a policy and outputs for CI\n\n"
      "Without --update or --propose it is backfire-gate alone, whose options go with these as "
      "well: "
      "see `backfire gate --help`.\n"
      "Example: backfire gate --update latest --wait --junit gate.xml\n"
      "  backfire gate --propose disparity=psmnet-disparity-mae --set steps=800 --wait --html "
      "gate.html");
  command.allow_extras();
  AddOrchestrator(command, session);
  auto& update =
      *command.add_option("--update", options->update, "NUMBER or updates/NUMBER, or `latest`");
  auto& proposal = *command.add_option(
      "--propose", options->proposal,
      "Instead of --update: VERTEX=RECIPE or VERTEX=VERSION, which is proposed; the same again is "
      "the same update");
  update.excludes(&proposal);
  command
      .add_option("--set", options->more.parameters,
                  "NAME=VALUE: a parameter of the proposed recipe; may be given again")
      ->take_all()
      ->needs(&proposal);
  command
      .add_option("--replicates", options->more.replicates,
                  "Training runs of the proposal; 0: as many as the system has")
      ->check(CLI::Range(0, 100))
      ->needs(&proposal);
  command.add_option("--looks", options->more.looks, "How often to look at its growing evidence")
      ->check(CLI::Range(1, 3))
      ->needs(&proposal);
  command.add_flag("--retry", options->retry, "Go on with it if the same proposal failed before")
      ->needs(&proposal);
  command.add_flag("--wait", options->wait, "Until the update has a verdict");
  AddFlipsOptions(command, options->flips);
  command.callback([&session, options, &command] {
    if (options->update.empty() && options->proposal.empty()) {
      throw CLI::RequiredError("--update or --propose");
    }
    session.action = [&session, options, rest = command.remaining()] {
      return GateUpdate(session, *options, rest);
    };
  });
}

}  // namespace backfire::cli
