// backfire-gate: `backfire gate` judges evaluation records. Exit codes:
// orchestrator/cli/exit_code.h.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "orchestrator/cli/exit_code.h"
#include "orchestrator/gate/baseline.h"
#include "orchestrator/gate/decision.h"
#include "orchestrator/gate/gate.h"
#include "orchestrator/gate/gate_options.h"
#include "orchestrator/gate/gate_outputs.h"
#include "orchestrator/gate/reproduction.h"
#include "orchestrator/gate/self_test.h"
#include "orchestrator/gate/webhook.h"
#include "orchestrator/report/json_report.h"
#include "services/base/command_line.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr char kFooter[] =
    "Exit codes: 0 passed; 1 something is worse beyond its margin (or is what --fail-on names); 2 "
    "wrong usage or input; 3 no room or a peer is away; 5 failed; 6 the evidence does not say, or "
    "a "
    "waiver has expired. A fault is never a verdict.\n"
    "On a mesh, `backfire gate` takes --update NUMBER|latest, or --propose VERTEX=RECIPE|VERSION "
    "with --set NAME=VALUE, and --wait, --retry, --no-flips, in place of records; what it writes "
    "is the same.\n"
    "Example: backfire gate --policy backfire-gate.yaml --before runs/main --after runs/pr-7 "
    "--junit gate.xml --markdown gate.md";

// The report of a run that has nothing to compare with yet.
absl::StatusOr<v1::GateReport> BeginBaseline(const GateRequest& request) {
  BACKFIRE_RETURN_IF_ERROR(WriteBaseline(request));
  v1::GateReport report;
  report.set_schema_version(1);
  report.set_today(request.today);
  SetUndecided(absl::StrCat("there was no baseline: ", request.baseline,
                            " was written from --after; commit it, and the next run judges"),
               report);
  return report;
}

absl::StatusOr<cli::ExitCode> TestItself(const GateOptions& options) {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GateSelfTest test, RunSelfTest(options.request));
  std::string text = SelfTestText(test);
  if (options.outputs.format == "json") {
    BACKFIRE_ASSIGN_OR_RETURN(text, report::ToJson(test));
  }
  std::cout << text << std::flush;
  if (!std::cout.good()) return absl::ResourceExhaustedError("standard output takes no more");
  return test.complaints().empty() ? cli::ExitCode::kOk : cli::ExitCode::kUndecided;
}

absl::StatusOr<cli::ExitCode> Run(GateOptions options) {
  if (options.self_test) return TestItself(options);
  GateRequest& request = options.request;
  v1::GateReport report;
  v1::GateWebhook on_verdict;
  if (LacksBaseline(request)) {
    BACKFIRE_ASSIGN_OR_RETURN(report, BeginBaseline(request));
  } else {
    BACKFIRE_ASSIGN_OR_RETURN(Answer answer, RunGate(request));
    report = std::move(answer.report);
    on_verdict = std::move(answer.on_verdict);
    if (options.update_baseline && report.outcome() == v1::GateReport::PASSED) {
      BACKFIRE_RETURN_IF_ERROR(WriteBaseline(request));
      report.add_notes(absl::StrCat(request.baseline, " is now what --after was."));
    }
  }
  options.outputs.command = CommandOf(request, report);
  BACKFIRE_RETURN_IF_ERROR(WriteOutputs(report, options.outputs, std::cout, std::cerr));
  if (!on_verdict.url().empty()) {
    // Nobody's being told or not changes what the verdict is.
    const absl::StatusOr<std::string> json = report::ToJson(report);
    const absl::Status told = json.ok() ? Tell(on_verdict, *json) : json.status();
    if (!told.ok()) std::cerr << "backfire gate: " << told.message() << std::endl;
  }
  return static_cast<cli::ExitCode>(report.exit_code());
}

// Ends the program where nothing else is safe.
[[noreturn]] void End(absl::string_view message, cli::ExitCode code) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(static_cast<int>(code));
}

// What is no verdict must not end as one: neither by an exception that nobody catches, nor by a
// signal.
void FailCleanly() {
  std::set_new_handler(
      [] { End("backfire gate: there is no memory left\n", cli::ExitCode::kUnavailable); });
  std::set_terminate([] {  // No thread can be started, say.
    End("backfire gate: ended by an exception, without a verdict\n", cli::ExitCode::kFailed);
  });
  // Writing says what went wrong, then.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

int Main(int argc, char** argv) {
  FailCleanly();
  GateOptions options;
  GateRequest& request = options.request;
  request.today = DayOf(absl::ToUnixSeconds(absl::Now()));
  request.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  CLI::App app("Judges a change by evaluation records of before and after, from files alone",
               "backfire gate");
  app.footer(kFooter);
  AddGateOptions(app, options);
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;
  const absl::StatusOr<cli::ExitCode> result = Run(options);
  if (result.ok()) return static_cast<int>(*result);
  std::cerr << "backfire gate: " << result.status().message() << std::endl;
  return static_cast<int>(cli::ExitCodeOf(result.status()));
}

}  // namespace
}  // namespace backfire::gate

int main(int argc, char** argv) { return backfire::gate::Main(argc, argv); }
