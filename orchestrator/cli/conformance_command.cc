#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
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
  std::vector<std::string> examples, shapes, ranges;
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

// The numbers of NAME=1,2.5; nothing: it is not so.
std::vector<double> NumbersOf(const std::string& argument, std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(argument, absl::MaxSplits('=', 1));
  if (parts.size() != 2 || parts[0].empty()) return {};
  name = parts[0];
  std::vector<double> numbers;
  for (const absl::string_view word : absl::StrSplit(parts[1], ',')) {
    if (!absl::SimpleAtod(word, &numbers.emplace_back()) || !std::isfinite(numbers.back())) {
      return {};
    }
  }
  return numbers;
}

// NAME=LOW,HIGH and NAME=SIZE,SIZE, of inputs.
absl::Status AddMadeUp(const ConformanceOptions& options, conformance::Options& trial) {
  std::string name;
  for (const std::string& argument : options.ranges) {
    const std::vector<double> ends = NumbersOf(argument, name);
    if (ends.size() != 2 || ends[0] > ends[1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("--range: must be INPUT=LOW,HIGH, as image=0,1: got \"", argument, "\""));
    }
    trial.ranges[name] = {ends[0], ends[1]};
  }
  constexpr double kLargest = 65536;
  for (const std::string& argument : options.shapes) {
    const std::vector<double> sizes = NumbersOf(argument, name);
    const bool fits = std::all_of(sizes.begin(), sizes.end(), [](double size) {
      return size >= 1 && size <= kLargest && size == std::floor(size);
    });
    if (sizes.empty() || !fits) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--shape: must be INPUT=SIZE,SIZE with a size from 1 to 65536 for each axis, "
          "as image=64,64,3: got \"",
          argument, "\""));
    }
    trial.shapes[name].assign(sizes.begin(), sizes.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> Try(const Session& session, ConformanceOptions options) {
  LogOptions log;
  log.level = "warning";  // The parents' own server says where it listens, which nobody asks.
  BACKFIRE_RETURN_IF_ERROR(InitLogging(log, "backfire"));
  BACKFIRE_ASSIGN_OR_RETURN(options.trial.recipe, MakeRecipe(options.recipe, options.parameters));
  BACKFIRE_RETURN_IF_ERROR(AddExampleCounts(options.examples, options.trial.examples));
  BACKFIRE_RETURN_IF_ERROR(AddMadeUp(options, options.trial));
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
      .add_option(
          "--shape", options->shapes,
          "INPUT=SIZE,SIZE: sizes of an input that takes any, as image=64,64,3; by default 2 "
          "each")
      ->take_all();
  command
      .add_option("--range", options->ranges,
                  "INPUT=LOW,HIGH: numbers that a made-up parent gives, as label=0,9; by default "
                  "normal ones, and whole ones of 0 and 1")
      ->take_all();
  command
      .add_option("--inert", options->trial.inert,
                  "A parameter that is to change nothing, as `threads`, or a noise of labels where "
                  "none is read: that is held against it; may be repeated")
      ->take_all();
  command.add_flag("--learns-without-parents", options->trial.learns_without_parents,
                   "What parents give is not to be learnt from: by a rule, or a model of a dataset "
                   "alone. Held against it");
  command.add_flag("--ignores-parents", options->trial.ignores_parents,
                   "Nor are outputs or losses to depend on it: of a constant. Held against it");
  command.add_flag("--unrepeatable", options->trial.unrepeatable,
                   "The same training gives other bits each time, as on some GPUs: what compares "
                   "two is not tried. Its verdicts can't be had again");
  command.add_flag("--fail-fast", options->trial.fail_fast,
                   "Try nothing more once a part of the contract is broken");
  command.callback([&session, options] {
    session.action = [&session, options] { return Try(session, *options); };
  });
}

}  // namespace backfire::cli
