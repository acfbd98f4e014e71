#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/generate.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/report/recipe_report.h"
#include "orchestrator/report/update_report.h"
#include "orchestrator/system/system_file.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

absl::StatusOr<ExitCode> ValidateSystem(const Session& session, const std::string& file,
                                        bool services) {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::System system, session.LoadSystem(file));
  v1::System checked = system;
  if (services) {
    OrchestratorClient orchestrator(session.orchestrator_target());
    v1::ApplySystemRequest request;
    *request.mutable_system() = system;
    request.set_validate_only(true);
    auto response = orchestrator.Call(&Stub::ApplySystem, request, absl::Seconds(120));
    if (!response.ok()) return system::LocateInSystemFile(response.status(), file);
    checked = response->system();
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      checked,
      absl::StrCat(file, ": ",
                   services
                       ? "no faults; the services agree"
                       : "no faults; --services checks it against the running services as well",
                   "\n\n", report::SystemText(checked))));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ShowSystem(const Session& session) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse response,
                            orchestrator.Call(&Stub::GetSystem, v1::GetSystemRequest()));
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      response,
      absl::StrCat(report::SystemText(response.system()), "\nrevision ", response.revision(),
                   ", baseline ", response.baseline_update(), "\n")));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ShowRecipes(const Session& session, const std::string& vertex) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse response,
                            orchestrator.Call(&Stub::GetSystem, v1::GetSystemRequest()));
  const std::string text = report::RecipesText(response, vertex);
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no vertex \"", vertex, "\"; see `backfire system show`"));
  }
  v1::GetSystemResponse shown;
  for (const auto& [name, model] : response.models()) {
    if (vertex.empty() || name == vertex) (*shown.mutable_models())[name] = model;
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(shown, text));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ApplySystem(const Session& session, const std::string& file,
                                     const std::string& dataset, const std::string& request_id) {
  BACKFIRE_ASSIGN_OR_RETURN(v1::System system, session.LoadSystem(file));
  if (!dataset.empty()) system.set_dataset(dataset);
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::ApplySystemRequest request;
  *request.mutable_system() = system;
  request.set_request_id(request_id);
  request.set_actor(session.actor);
  const auto response = orchestrator.Call(&Stub::ApplySystem, request, absl::Seconds(120));
  if (!response.ok()) return system::LocateInSystemFile(response.status(), file);
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      *response, absl::StrCat("system ", response->system().name(), " is in force, revision ",
                              response->revision(), "; baseline ", response->update(), "\n")));
  return ExitCode::kOk;
}

}  // namespace

void AddSystemCommands(CLI::App& app, Session& session) {
  auto& topic = AddCommand(
      app, "system", "Validate, apply or show a system of models, and what it can be trained by");
  topic.require_subcommand(1);
  const auto file = std::make_shared<std::string>();
  const auto services = std::make_shared<bool>(false);
  const auto dataset = std::make_shared<std::string>();

  auto& check =
      AddCommand(topic, "validate",
                 "Report the faults of a system file, and change nothing\n\n"
                 "Example: backfire system validate deploy/systems/stereo.yaml --services");
  check.alias("check");
  check.add_option("file", *file, "The system's YAML file")->required();
  check.add_flag("--services", *services, "Also check against the services, which must be up");
  AddOrchestrator(check, session);
  AddFormat(check, session);
  check.callback([&session, file, services] {
    session.action = [&session, file, services] {
      return ValidateSystem(session, *file, *services);
    };
  });

  auto& apply = AddCommand(topic, "apply",
                           "Make a system the current one, which trains its baseline\n\n"
                           "Example: backfire system apply deploy/systems/stereo.yaml");
  apply.add_option("file", *file, "The system's YAML file")->required();
  apply.add_option("--dataset", *dataset, "URI to use instead of the file's `dataset`");
  const auto request_id = std::make_shared<std::string>();
  AddRequestId(apply, *request_id);
  AddOrchestrator(apply, session);
  AddFormat(apply, session);
  apply.callback([&session, file, dataset, request_id] {
    session.action = [&session, file, dataset, request_id] {
      return ApplySystem(session, *file, *dataset, *request_id);
    };
  });

  const auto generated = std::make_shared<GenerateOptions>();
  auto& generate = AddCommand(
      topic, "generate",
      "Write a system of any size, of tiny models, for tests of load and scale\n\nIt needs "
      "planar-service alone. `backfire study scale` measures an update of its root.\n"
      "Example: backfire system generate --shape layered --vertices 100 > layered.yaml");
  AddGenerateOptions(generate, *generated);
  generate.callback([&session, generated] {
    session.action = [&session, generated]() -> absl::StatusOr<ExitCode> {
      BACKFIRE_ASSIGN_OR_RETURN(const std::string text, GenerateSystem(*generated));
      *session.out << text;
      return ExitCode::kOk;
    };
  });

  const auto vertex = std::make_shared<std::string>();
  AddAction(topic, session, "recipes",
            "List what vertices can be trained by: what parameters may be, and what they do\n\n"
            "Example: backfire system recipes disparity",
            [&session, vertex] { return ShowRecipes(session, *vertex); })
      .add_option("vertex", *vertex, "Of this vertex alone");
  AddAction(topic, session, "show",
            "Show the current system\n\nExample: backfire system show --format json",
            [&session] { return ShowSystem(session); });
}

}  // namespace backfire::cli
