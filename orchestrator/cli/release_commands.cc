#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/report/update_report.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

absl::StatusOr<ExitCode> List(const Session& session) {
  OrchestratorClient orchestrator(session.orchestrator);
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

absl::StatusOr<ExitCode> Rollback(const Session& session, const std::string& name,
                                  const std::string& reason) {
  OrchestratorClient orchestrator(session.orchestrator);
  v1::RollbackReleaseRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(), ResourceName("releases", name));
  request.set_reason(reason);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Release release,
                            orchestrator.Call(&Stub::RollbackRelease, request, absl::Seconds(120)));
  BACKFIRE_RETURN_IF_ERROR(
      session.Print(release, absl::StrCat(release.name(), " is live again\n")));
  return ExitCode::kOk;
}

}  // namespace

void AddReleaseCommands(CLI::App& app, Session& session) {
  auto& topic = AddCommand(app, "release", "List what can be served, or go back");
  topic.require_subcommand(1);

  auto& list =
      AddCommand(topic, "list", "List releases, newest first\n\nExample: backfire release list");
  AddOrchestrator(list, session);
  AddFormat(list, session);
  list.callback([&session] { session.action = [&session] { return List(session); }; });

  auto& rollback = AddCommand(
      topic, "rollback",
      "Make an earlier release the live one again\n\nExample: backfire release rollback 1 --reason "
      "'more false alarms at night'");
  const auto name = std::make_shared<std::string>();
  const auto reason = std::make_shared<std::string>();
  rollback.add_option("release", *name, "NUMBER or releases/NUMBER")->required();
  rollback.add_option("--reason", *reason, "Kept with the release")->required();
  AddOrchestrator(rollback, session);
  AddFormat(rollback, session);
  rollback.callback([&session, name, reason] {
    session.action = [&session, name, reason] { return Rollback(session, *name, *reason); };
  });
}

}  // namespace backfire::cli
