#include "orchestrator/cli/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/cli/completion.h"
#include "orchestrator/cli/evidence_commands.h"
#include "orchestrator/cli/history_commands.h"
#include "orchestrator/report/json_report.h"
#include "services/base/command_line.h"
#include "services/base/suggestion.h"

namespace backfire::cli {
namespace {

constexpr char kFooter[] =
    "`backfire NAME ...` runs the program backfire-NAME beside it for any other NAME: `demo`, "
    "`gate`, `planar`, `study`, `vision`.\n\nExit codes: 0 done; 1 --gate refuses; 2 wrong usage "
    "or input; "
    "3 a peer is "
    "unavailable; 4 right request, wrong state; 5 failed; 6 --gate can't decide; 130 interrupted.\n"
    "Example: backfire up deploy/systems/stereo.yaml && backfire update watch baseline";

std::unique_ptr<CLI::App> MakeApp(Session& session) {
  auto app = std::make_unique<CLI::App>(
      "Says whether a better model makes the system worse that it is part of", "backfire");
  app->footer(kFooter);
  app->require_subcommand(1);
  session.security.AddClientTo(*app);
  AddMeshCommands(*app, session);
  AddSystemCommands(*app, session);
  AddUpdateCommands(*app, session);
  AddReleaseCommands(*app, session);
  AddVersionCommands(*app, session);
  AddHistoryCommand(*app, session);
  AddConformanceCommand(*app, session);
  AddReportCommand(*app, session);
  AddHealthcheckCommand(*app, session);
  AddFsckCommand(*app, session);
  AddGateCommand(*app, session);
  AddCompletionCommand(*app, session);
  AddVersionFlag(*app);
  return app;
}

// Those that are built in, and those that come as programs beside it.
std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names = {"demo", "planar", "study", "vision"};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

bool IsBuiltIn(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return true;
  }
  return false;
}

// Whether --format json was asked for, also where the arguments are wrong otherwise.
bool WantsJson(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--format=json") return true;
    if (arguments[i] == "--format" && i + 1 < arguments.size() && arguments[i + 1] == "json") {
      return true;
    }
  }
  return false;
}

// Says what is wrong, as text or as a line of JSON, and in the exit code.
ExitCode Complain(const Session& session, const std::vector<std::string>& arguments,
                  const absl::Status& status) {
  const ExitCode code = ExitCodeOf(status);
  if (WantsJson(arguments)) {
    *session.err << report::ErrorLine(status, static_cast<int>(code)) << std::endl;
  } else {
    *session.err << "backfire: " << std::string(status.message()) << std::endl;
  }
  return code;
}

}  // namespace

ExitCode RunCommandLine(Session& session, const std::vector<std::string>& arguments) {
  const std::unique_ptr<CLI::App> app = MakeApp(session);
  if (!arguments.empty() && arguments[0].rfind('-', 0) != 0 && !IsBuiltIn(*app, arguments[0])) {
    return Complain(
        session, arguments,
        absl::InvalidArgumentError(absl::StrCat(
            "no command \"", arguments[0], "\": neither built in nor a program backfire-",
            arguments[0], " in ", session.program_directory.string(),
            DidYouMean(arguments[0], CommandNames(*app)), "; see `backfire --help`")));
  }
  app->failure_message(UsageFault);
  try {
    // CLI11 takes them from the back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app->parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    // CLI11 has exit codes of its own; ours are documented.
    std::ostringstream complaint;
    if (app->exit(error, *session.out, complaint) == 0) return ExitCode::kOk;
    if (!WantsJson(arguments)) {
      *session.err << complaint.str();
      return ExitCode::kBadInput;
    }
    return Complain(
        session, arguments,
        absl::InvalidArgumentError(absl::StripTrailingAsciiWhitespace(complaint.str())));
  }
  const absl::Status shown = session.ShowIdentity();
  const absl::StatusOr<ExitCode> result =
      shown.ok() ? session.action() : absl::StatusOr<ExitCode>(shown);
  if (result.ok()) return *result;
  return Complain(session, arguments, result.status());
}

std::optional<std::filesystem::path> ExternalCommand(const std::filesystem::path& program_directory,
                                                     const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].empty() || arguments[0][0] == '-') return std::nullopt;
  if (arguments[0].find('/') != std::string::npos) return std::nullopt;
  Session unused;
  const std::unique_ptr<CLI::App> app = MakeApp(unused);
  const bool gate_on_records = arguments[0] == "gate" && !IsGateOnUpdate(arguments);
  if (IsBuiltIn(*app, arguments[0]) && !gate_on_records) return std::nullopt;
  std::filesystem::path program = program_directory / absl::StrCat("backfire-", arguments[0]);
  if (::access(program.c_str(), X_OK) != 0) return std::nullopt;
  return program;
}

std::filesystem::path DefaultDataDirectory(const char* xdg_state_home, const char* home) {
  if (xdg_state_home != nullptr && xdg_state_home[0] == '/') {
    return std::filesystem::path(xdg_state_home) / "backfire";
  }
  if (home != nullptr && home[0] == '/') {
    return std::filesystem::path(home) / ".local" / "state" / "backfire";
  }
  return ".backfire";
}

}  // namespace backfire::cli
