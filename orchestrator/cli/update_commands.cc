#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <ostream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/cli/evidence_commands.h"
#include "orchestrator/cli/history_commands.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/proposal.h"
#include "orchestrator/cli/prune_command.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/cli/update_outcome.h"
#include "orchestrator/cli/watch_view.h"
#include "orchestrator/report/forecast.h"
#include "orchestrator/report/progress_report.h"
#include "orchestrator/report/sensitivity_report.h"
#include "orchestrator/report/update_report.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

/// Options of all the update commands; each reads those that it declares.
struct UpdateOptions : Proposal {
  std::string name;
  bool watch = false;
  bool wait = false;
  std::vector<std::string> states;
  std::string judged_with;
  bool retry = false;
  bool gate = false;
  std::string field;
  bool override_verdict = false;
};

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

absl::StatusOr<v1::Update> GetUpdate(OrchestratorClient& orchestrator, const std::string& name) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string resolved, orchestrator.ResolveUpdate(name));
  v1::GetUpdateRequest request;
  request.set_name(resolved);
  return orchestrator.Call(&Stub::GetUpdate, request);
}

/// A forecast by the system, and by the update that made what this one is compared with. What
/// can't be read is left out: then nothing is foretold.
report::Forecast MakeForecast(OrchestratorClient& orchestrator, const v1::Update& update) {
  const auto system = orchestrator.Call(&Stub::GetSystem, v1::GetSystemRequest());
  report::Forecast forecast(system.ok() ? system->system() : v1::System());
  v1::GetReleaseRequest request;
  request.set_name(update.baseline_release());
  if (request.name().empty()) return forecast;
  const auto release = orchestrator.Call(&Stub::GetRelease, request);
  if (!release.ok()) return forecast;
  if (const auto before = GetUpdate(orchestrator, release->update()); before.ok()) {
    forecast.Learn(*before);
  }
  return forecast;
}

/// Watches an update to its end, prints what came of it, and says so in the exit code.
absl::StatusOr<ExitCode> WatchUpdate(const Session& session, OrchestratorClient& orchestrator,
                                     v1::Update update, const UpdateOptions& options) {
  if (options.retry && update.state() == v1::Update::FAILED) {
    *session.err << update.name() << " had failed (" << update.error_message() << "): going on\n";
    v1::RetryUpdateRequest request;
    request.set_name(update.name());
    request.set_actor(session.actor);
    BACKFIRE_ASSIGN_OR_RETURN(update, orchestrator.Call(&Stub::RetryUpdate, request));
  }
  if (!options.wait && !report::HasEnded(update)) *session.err << report::SensitivityText(update);
  if (options.wait) {
    BACKFIRE_ASSIGN_OR_RETURN(update,
                              orchestrator.WatchUpdate(update.name(), [](const v1::Update&) {}));
  } else {
    WatchView view(*session.err, TerminalColumns());
    report::Forecast forecast = MakeForecast(orchestrator, update);
    BACKFIRE_ASSIGN_OR_RETURN(
        update, orchestrator.WatchUpdate(update.name(), [&](const v1::Update& change) {
          forecast.Learn(change);
          view.Show(change, SteadySeconds(), forecast.SecondsLeft(change));
        }));
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(update, report::UpdateText(update)));
  return ExitCodeOf(update, options.gate);
}

absl::StatusOr<ExitCode> ProposeUpdate(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  Proposal proposal = options;
  proposal.actor = session.actor;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update, FindOrPropose(orchestrator, proposal));
  if (options.watch || options.wait || options.gate)
    return WatchUpdate(session, orchestrator, update, options);
  BACKFIRE_RETURN_IF_ERROR(session.Print(update, report::UpdateText(update)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ShowUpdate(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update, GetUpdate(orchestrator, options.name));
  if (!options.field.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string text, UpdateField(update, options.field));
    *session.out << text << "\n";
    return options.gate ? ExitCodeOf(update, options.gate) : ExitCode::kOk;
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(update, report::UpdateText(update)));
  return ExitCodeOf(update, options.gate);
}

absl::StatusOr<ExitCode> ListUpdates(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::ListUpdatesRequest request;
  request.set_vertex(options.vertex);
  if (!options.judged_with.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_judged_with(),
                              orchestrator.ResolveUpdate(options.judged_with));
  }
  for (const std::string& state : options.states) {
    v1::Update::State parsed = v1::Update::STATE_UNSPECIFIED;
    if (!v1::Update::State_Parse(absl::AsciiStrToUpper(state), &parsed) ||
        parsed == v1::Update::STATE_UNSPECIFIED) {
      std::string known;
      for (int i = 1; i <= v1::Update::State_MAX; ++i) {
        absl::StrAppend(&known, i > 1 ? ", " : "",
                        v1::Update::State_Name(static_cast<v1::Update::State>(i)));
      }
      return absl::InvalidArgumentError(
          absl::StrCat("--state must be one of ", known, ": got \"", state, "\""));
    }
    request.add_states(parsed);
  }
  v1::ListUpdatesResponse all;
  do {
    request.set_page_token(all.next_page_token());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListUpdatesResponse page,
                              orchestrator.Call(&Stub::ListUpdates, request));
    all.clear_next_page_token();
    all.MergeFrom(page);
  } while (!all.next_page_token().empty());
  BACKFIRE_RETURN_IF_ERROR(session.Print(all, report::UpdateListText(all)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> CancelUpdate(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::CancelUpdateRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), orchestrator.ResolveUpdate(options.name));
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  request.set_reason(options.reason);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update,
                            orchestrator.Call(&Stub::CancelUpdate, request));
  BACKFIRE_RETURN_IF_ERROR(session.Print(update, report::UpdateText(update)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> RetryUpdate(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::RetryUpdateRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), orchestrator.ResolveUpdate(options.name));
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update,
                            orchestrator.Call(&Stub::RetryUpdate, request));
  if (options.watch || options.wait) return WatchUpdate(session, orchestrator, update, options);
  BACKFIRE_RETURN_IF_ERROR(session.Print(update, report::UpdateText(update)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> PromoteUpdate(const Session& session, const UpdateOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::PromoteUpdateRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), orchestrator.ResolveUpdate(options.name));
  request.set_override(options.override_verdict);
  request.set_reason(options.reason);
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Release release,
                            orchestrator.Call(&Stub::PromoteUpdate, request, absl::Seconds(120)));
  BACKFIRE_RETURN_IF_ERROR(session.Print(release, absl::StrCat(release.name(), " is live\n")));
  return ExitCode::kOk;
}

}  // namespace

void AddUpdateCommands(CLI::App& app, Session& session) {
  auto& topic = AddCommand(app, "update", "Propose a change of one model, and judge it");
  topic.require_subcommand(1);
  const auto options = std::make_shared<UpdateOptions>();
  // Declares a command that runs `run` on the session and the options.
  const auto add = [&](const std::string& name, const std::string& help, auto run) -> CLI::App& {
    return AddAction(topic, session, name, help,
                     [&session, options, run] { return run(session, *options); });
  };
  const auto add_name = [&](CLI::App& command) {
    command
        .add_option("update", options->name,
                    "NUMBER or updates/NUMBER, `latest`, or `baseline` of the current system")
        ->required();
  };
  const auto add_gate = [&](CLI::App& command) {
    command.add_flag("--gate", options->gate,
                     "Exit 1 if something is worse beyond its margin, 6 if that is undecided");
  };

  auto& propose = add("propose",
                      "Propose to replace a vertex's version by what a recipe trains, or by one "
                      "that exists\n\nThe same "
                      "proposal again finds the same update.\nExample: backfire update propose "
                      "--vertex disparity --recipe psmnet-disparity-mae --set steps=800 --watch",
                      ProposeUpdate);
  propose.add_option("--vertex", options->vertex, "Which vertex is to change")->required();
  auto& recipe = *propose.add_option("--recipe", options->recipe, "What it is to be trained by");
  auto& version = *propose.add_option(
      "--version", options->version,
      "Instead of --recipe: a version that exists, as imported: NUMBER, VERTEX/NUMBER or "
      "models/MODEL/versions/NUMBER");
  auto& parameters =
      *propose
           .add_option(
               "--set", options->parameters,
               "NAME=VALUE: a parameter of the recipe, as `backfire system recipes` lists them; "
               "a list or map as in YAML: NAME=[1, {a: 2}]")
           ->take_all();
  version.excludes(&recipe)->excludes(&parameters);
  propose.callback([&session, options] {
    if (options->recipe.empty() && options->version.empty()) {
      throw CLI::RequiredError("--recipe or --version");
    }
    session.action = [&session, options] { return ProposeUpdate(session, *options); };
  });
  propose
      .add_option("--replicates", options->replicates,
                  "Training runs, at most the system's; 0: as many as it has")
      ->check(CLI::Range(0, 100));
  propose
      .add_option(
          "--looks", options->looks,
          "How often to look at the evidence as it grows, all for one alpha: stop at the first "
          "look that decides; each needs 5 replicates more")
      ->capture_default_str()
      ->check(CLI::Range(1, 3));
  propose.add_option("--reason", options->reason, "Kept with the update");
  propose.add_option("--request-id", options->request_id,
                     "Names the proposal; by default a digest of what is proposed");
  propose.add_flag("--watch", options->watch,
                   "Show it until the verdict is there; it goes on after Ctrl-C");
  propose.add_flag("--wait", options->wait, "As --watch, without showing progress");
  propose.add_flag("--retry", options->retry, "Go on with it if the same proposal failed before");
  add_gate(propose);

  auto& list = add("list",
                   "List updates, newest first\n\nExample: backfire update list --state DECIDED "
                   "--vertex disparity",
                   ListUpdates);
  list.add_option("--state", options->states, "Only those in this state; may be given again")
      ->take_all();
  list.add_option("--vertex", options->vertex, "Only those that change this vertex");
  list.add_option("--judged-with", options->judged_with,
                  "Only those with a verdict on the test split that this update was judged on");

  auto& show = add("show",
                   "Show an update: its progress, or its verdict\n\nExample: backfire update show "
                   "latest --format json",
                   ShowUpdate);
  AddUpdateExport(topic, session);
  AddUpdateLog(topic, session);
  AddUpdatePrune(topic, session);
  add_name(show);
  add_gate(show);
  show.add_option("--field", options->field,
                  "Print only this: name, state, release, baseline_release or verdict");

  auto& watch =
      add("watch",
          "Show an update until it is decided, has failed or was ended\n\nCtrl-C ends the "
          "watching alone: the update goes on, and `backfire update cancel` ends it.\nExample: "
          "backfire update watch baseline",
          [](const Session& watch_session,
             const UpdateOptions& watch_options) -> absl::StatusOr<ExitCode> {
            OrchestratorClient orchestrator(watch_session.orchestrator_target());
            BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update,
                                      GetUpdate(orchestrator, watch_options.name));
            return WatchUpdate(watch_session, orchestrator, update, watch_options);
          });
  add_name(watch);
  add_gate(watch);
  watch.add_flag("--retry", options->retry, "Go on first, if it has failed");

  auto& cancel = add(
      "cancel",
      "Stop an open update, give up a failed one, or turn a decided one down\n\nWhat was loaded "
      "for it is unloaded, and its versions can be deleted.\n"
      "Example: backfire update cancel 3 --reason 'superseded by updates/5'",
      CancelUpdate);
  add_name(cancel);
  cancel.add_option("--reason", options->reason, "Kept with the update");
  AddRequestId(cancel, options->request_id);
  auto& retry = add("retry",
                    "Go on with a failed update from the step that failed\n\nExample: backfire "
                    "update retry 3 --watch",
                    RetryUpdate);
  add_name(retry);
  AddRequestId(retry, options->request_id);
  retry.add_flag("--wait", options->wait, "As --watch, without showing progress");
  retry.add_flag("--watch", options->watch, "Show it until it is decided, has failed or was ended");

  auto& promote = add("promote",
                      "Make an update's release the live one\n\nExample: backfire update promote 3 "
                      "--override --reason 'harm is known and accepted'",
                      PromoteUpdate);
  add_name(promote);
  AddRequestId(promote, options->request_id);
  auto& override_flag = *promote.add_flag("--override", options->override_verdict,
                                          "Although the verdict is not SAFE; needs --reason");
  auto& reason = *promote.add_option("--reason", options->reason, "Kept with the release");
  override_flag.needs(&reason);
}

}  // namespace backfire::cli
