#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "orchestrator/cli/recipe_argument.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/conformance/conformance.h"
#include "services/base/logging.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using conformance::Finding;

struct ConformanceOptions {
  conformance::Options trial;
  std::string recipe;
  std::vector<std::string> parameters;
  std::vector<std::string> examples;
};

std::string Line(const Finding& finding) {
  const char* outcome = finding.outcome == Finding::Outcome::kHolds    ? "ok        "
                        : finding.outcome == Finding::Outcome::kBroken ? "BROKEN    "
                                                                       : "not tried ";
  return absl::StrCat(outcome, finding.what, finding.detail.empty() ? "" : ": ", finding.detail,
                      "\n");
}

// SPLIT=N, as in --examples test=62.
absl::Status AddExampleCounts(const std::vector<std::string>& arguments,
                              std::map<std::string, int64_t>& counts) {
  for (const std::string& argument : arguments) {
    const std::vector<std::string> parts = absl::StrSplit(argument, absl::MaxSplits('=', 1));
    int64_t count = 0;
    const bool is_split = parts[0] == "train" || parts[0] == "validation" || parts[0] == "test";
    if (parts.size() != 2 || !is_split || !absl::SimpleAtoi(parts[1], &count) || count < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--examples: must be train=N, validation=N or test=N: got \"", argument, "\""));
    }
    counts[parts[0]] = count;
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Try(const Session& session, ConformanceOptions options) {
  LogOptions log;
  log.level = "warning";  // The parents' own server says where it listens, which nobody asks.
  BACKFIRE_RETURN_IF_ERROR(InitLogging(log, "backfire"));
  BACKFIRE_ASSIGN_OR_RETURN(options.trial.recipe, MakeRecipe(options.recipe, options.parameters));
  BACKFIRE_RETURN_IF_ERROR(AddExampleCounts(options.examples, options.trial.examples));
  if (!options.trial.model.empty() && options.trial.model.rfind("models/", 0) != 0) {
    options.trial.model = absl::StrCat("models/", options.trial.model);
  }
  options.trial.run = absl::StrCat(std::chrono::system_clock::now().time_since_epoch().count());
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<Finding> findings,
                            conformance::TryService(options.trial, [&](const Finding& finding) {
                              *session.out << Line(finding) << std::flush;
                            }));
  int holds = 0, broken = 0;
  for (const Finding& finding : findings) {
    if (finding.outcome == Finding::Outcome::kHolds) ++holds;
    if (finding.outcome == Finding::Outcome::kBroken) ++broken;
  }
  *session.out << absl::StrCat(holds, " hold, ", broken, " broken, ",
                               findings.size() - static_cast<size_t>(holds + broken),
                               " not tried\n");
  return broken == 0 ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace

void AddConformanceCommand(CLI::App& app, Session& session) {
  auto& command = AddCommand(
      app, "conformance",
      "Try a model service against the contract, and say what it gets wrong\n\nTrains some dozens "
      "of small versions on made-up parents, other seeds and other parameters, and compares what "
      "the\nservice says of them. Exits 5 if anything is broken, 2 if it was asked for what the "
      "model doesn't offer.\n"
      "Examples: backfire conformance localhost:7102 --feed-all\n"
      "          backfire conformance localhost:7102 --feed feature --feed teacher --recipe "
      "nearest --set k=5");
  const auto options = std::make_shared<ConformanceOptions>();
  command.add_option("endpoint", options->trial.endpoint, "The service's gRPC target")->required();
  command.add_option("--model", options->trial.model, "Which of its models; needed if it has many");
  command.add_option("--recipe", options->recipe, "To train by; default: the model's first");
  command.add_option("--set", options->parameters, "NAME=VALUE: a parameter of the recipe")
      ->take_all();
  command.add_option("--dataset", options->trial.dataset, "URI, for a model that reads one")
      ->capture_default_str();
  auto& feed = *command
                    .add_option("--feed", options->trial.fed,
                                "An input that a made-up parent feeds; may be repeated")
                    ->take_all();
  command.add_flag("--feed-all", options->trial.feed_all, "Made-up parents feed every input")
      ->excludes(&feed);
  command
      .add_option(
          "--examples", options->examples,
          "SPLIT=N: examples that made-up parents give, for a model that is fed and reads a "
          "dataset; by default what its words ask for")
      ->take_all();
  command
      .add_option("--inert", options->trial.inert,
                  "A parameter that is to change nothing but time, as `threads`; may be repeated")
      ->take_all();
  command.add_flag("--fail-fast", options->trial.fail_fast,
                   "Try nothing more once a part of the contract is broken");
  command.callback([&session, options] {
    session.action = [&session, options] { return Try(session, *options); };
  });
}

}  // namespace backfire::cli
