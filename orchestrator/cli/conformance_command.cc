#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/recipe_argument.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/conformance/conformance.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using conformance::Finding;

struct ConformanceOptions {
  conformance::Options trial;
  std::string recipe;
  std::vector<std::string> parameters;
};

std::string Line(const Finding& finding) {
  const char* outcome = finding.outcome == Finding::Outcome::kHolds    ? "ok        "
                        : finding.outcome == Finding::Outcome::kBroken ? "BROKEN    "
                                                                       : "not tried ";
  return absl::StrCat(outcome, finding.what, finding.detail.empty() ? "" : ": ", finding.detail,
                      "\n");
}

absl::StatusOr<ExitCode> Try(const Session& session, ConformanceOptions options) {
  BACKFIRE_ASSIGN_OR_RETURN(options.trial.recipe, MakeRecipe(options.recipe, options.parameters));
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
      "Try a model service against the contract, and say what it gets wrong\n\nTrains a version "
      "and "
      "evaluates it. Exits 5 if anything is broken.\nExamples: backfire conformance localhost:7005 "
      "--feed-all\n          backfire conformance localhost:7001 --dataset kitti:/data/world --set "
      "steps=2");
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
  command.callback([&session, options] {
    session.action = [&session, options] { return Try(session, *options); };
  });
}

}  // namespace backfire::cli
