#include <grpcpp/client_context.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/report/release_report.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

/// Options of all the release commands; each reads those that it declares.
struct ReleaseOptions {
  std::string name;
  std::string reason;
  std::string request_id;
  bool override_verdict = false;
  bool dry_run = false;
  double timeout_seconds = 120;
};

absl::StatusOr<ExitCode> ListReleases(const Session& session, const ReleaseOptions&) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::ListReleasesRequest request;
  v1::ListReleasesResponse all;
  do {
    request.set_page_token(all.next_page_token());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListReleasesResponse page,
                              orchestrator.Call(&Stub::ListReleases, request));
    all.clear_next_page_token();
    all.MergeFrom(page);
  } while (!all.next_page_token().empty());
  BACKFIRE_RETURN_IF_ERROR(session.Print(all, report::ReleaseListText(all)));
  return ExitCode::kOk;
}

absl::StatusOr<v1::Release> GetRelease(OrchestratorClient& orchestrator, const std::string& name) {
  v1::GetReleaseRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), orchestrator.ResolveRelease(name));
  return orchestrator.Call(&Stub::GetRelease, request);
}

absl::StatusOr<ExitCode> ShowRelease(const Session& session, const ReleaseOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Release release, GetRelease(orchestrator, options.name));
  BACKFIRE_RETURN_IF_ERROR(session.Print(release, report::ReleaseText(release)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> PromoteRelease(const Session& session, const ReleaseOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Release staged, GetRelease(orchestrator, options.name));
  v1::PromoteUpdateRequest request;
  request.set_name(staged.update());
  request.set_override(options.override_verdict);
  request.set_reason(options.reason);
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  BACKFIRE_ASSIGN_OR_RETURN(
      const v1::Release release,
      orchestrator.Call(&Stub::PromoteUpdate, request, absl::Seconds(options.timeout_seconds)));
  BACKFIRE_RETURN_IF_ERROR(session.Print(release, absl::StrCat(release.name(), " is live\n")));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> RollbackRelease(const Session& session, const ReleaseOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  if (options.dry_run) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Release target, GetRelease(orchestrator, options.name));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Release live, GetRelease(orchestrator, "live"));
    BACKFIRE_RETURN_IF_ERROR(session.Print(target, report::RollbackText(live, target)));
    return ExitCode::kOk;
  }
  if (options.reason.empty()) {
    return absl::InvalidArgumentError("--reason is required: it is kept with the release");
  }
  v1::RollbackReleaseRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), ResourceName("releases", options.name));
  request.set_reason(options.reason);
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  BACKFIRE_ASSIGN_OR_RETURN(
      const v1::Release release,
      orchestrator.Call(&Stub::RollbackRelease, request, absl::Seconds(options.timeout_seconds)));
  BACKFIRE_RETURN_IF_ERROR(
      session.Print(release, absl::StrCat(release.name(), " is live again\n")));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> WatchRelease(const Session& session, const ReleaseOptions&) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  report::ReleaseLog log;
  const absl::Status status =
      orchestrator.WatchReleases([&](const v1::ReleaseSnapshot& snapshot) -> absl::Status {
        if (session.json()) return session.Print(snapshot, "");
        for (const std::string& line : log.Next(snapshot)) *session.out << line << "\n";
        session.out->flush();
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return ExitCode::kOk;
}

}  // namespace

void AddReleaseCommands(CLI::App& app, Session& session) {
  auto& topic = AddCommand(app, "release", "What is served: list, promote, go back");
  topic.require_subcommand(1);
  const auto options = std::make_shared<ReleaseOptions>();
  // Declares a command that runs `run` on the session and the options.
  const auto add = [&](const std::string& name, const std::string& help, auto run) -> CLI::App& {
    return AddAction(topic, session, name, help,
                     [&session, options, run] { return run(session, *options); });
  };
  const auto add_name = [&](CLI::App& command) {
    command.add_option("release", options->name, "NUMBER or releases/NUMBER, or `live`")
        ->required();
  };

  const auto add_timeout = [&](CLI::App& command) {
    command
        .add_option("--timeout", options->timeout_seconds,
                    "Seconds until it is given up; the same --request-id finds what came of it")
        ->capture_default_str()
        ->check(CLI::Range(0.1, 86'400.0));
  };

  add("list", "List releases, newest first\n\nExample: backfire release list", ListReleases);
  add_name(add("show",
               "Show a release and its history: what happened, when, by whom, why\n\nExample: "
               "backfire release show 2",
               ShowRelease));
  add("watch",
      "Show releases and gateways as they change, until Ctrl-C\n\nExample: backfire release watch",
      WatchRelease);

  auto& promote = add("promote",
                      "Make a staged release the live one\n\nExample: backfire release promote 2 "
                      "--override --reason 'harm is known and accepted'",
                      PromoteRelease);
  add_name(promote);
  auto& override_flag =
      *promote.add_flag("--override", options->override_verdict,
                        "Although its update's verdict is not SAFE; needs --reason");
  override_flag.needs(promote.add_option("--reason", options->reason, "Kept with the release"));
  AddRequestId(promote, options->request_id);
  add_timeout(promote);

  auto& rollback = add(
      "rollback",
      "Make an earlier release the live one again\n\nExample: backfire release rollback 1 --reason "
      "'more false alarms at night'",
      RollbackRelease);
  add_name(rollback);
  rollback.add_option("--reason", options->reason,
                      "Kept with the release; required unless --dry-run");
  rollback.add_flag("--dry-run", options->dry_run,
                    "Show which versions would change, and change nothing");
  AddRequestId(rollback, options->request_id);
  add_timeout(rollback);
}

}  // namespace backfire::cli
