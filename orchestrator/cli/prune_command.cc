#include "orchestrator/cli/prune_command.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/report/version_report.h"
#include "orchestrator/report/when.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

// Releases have to be unloaded everywhere, and versions deleted one by one.
constexpr absl::Duration kPruneTimeout = absl::Minutes(10);

struct PruneOptions {
  bool dry_run = false;
  int keep_updates = 0;
  std::string keep_for;
  std::string request_id;
};

absl::StatusOr<ExitCode> PruneUpdates(const Session& session, const PruneOptions& options) {
  v1::PruneUpdatesRequest request;
  request.set_dry_run(options.dry_run);
  request.set_request_id(options.request_id);
  request.set_actor(session.actor);
  if (options.keep_updates > 0) {
    request.mutable_retention()->set_keep_updates(options.keep_updates);
  }
  if (!options.keep_for.empty()) {
    const absl::StatusOr<absl::Duration> span = report::ParseSpan(options.keep_for);
    if (!span.ok()) return Annotate(span.status(), "--keep-for");
    request.mutable_retention()->mutable_keep_for()->set_seconds(absl::ToInt64Seconds(*span));
  }
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::PruneUpdatesResponse response,
                            orchestrator.Call(&Stub::PruneUpdates, request, kPruneTimeout));
  BACKFIRE_RETURN_IF_ERROR(session.Print(response, report::PruneText(response, options.dry_run)));
  return ExitCode::kOk;
}

}  // namespace

void AddUpdatePrune(CLI::App& topic, Session& session) {
  const auto options = std::make_shared<PruneOptions>();
  CLI::App& command = AddAction(
      topic, session, "prune",
      "Let go of decided updates that the system's `retention` does not keep\n\nThey are turned "
      "down, their releases unloaded, and the versions that nothing else needs deleted, children "
      "first.\nWhat was promoted, was imported, or feeds what stays is kept.\nExample: backfire "
      "update prune --dry-run --keep 20",
      [&session, options] { return PruneUpdates(session, *options); });
  command.add_flag("--dry-run", options->dry_run, "Say what would go, and change nothing");
  command
      .add_option("--keep", options->keep_updates,
                  "In place of the system's retention: keep the newest N that were not promoted")
      ->check(CLI::PositiveNumber);
  command.add_option(
      "--keep-for", options->keep_for,
      "In place of the system's retention: keep those decided in this span: 12h, 30d");
  AddRequestId(command, options->request_id);
}

}  // namespace backfire::cli
