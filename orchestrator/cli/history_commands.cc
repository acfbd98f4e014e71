#include "orchestrator/cli/history_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/report/history_report.h"
#include "orchestrator/report/when.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

struct HistoryOptions {
  std::string since;
  std::string of;
};

// All events that a request asks for, oldest first.
absl::StatusOr<std::vector<v1::Event>> ReadEvents(OrchestratorClient& orchestrator,
                                                  v1::ListEventsRequest request) {
  std::vector<v1::Event> events;
  do {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListEventsResponse page,
                              orchestrator.Call(&Stub::ListEvents, request));
    events.insert(events.end(), page.events().begin(), page.events().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  std::reverse(events.begin(), events.end());
  return events;
}

// NOT_FOUND: there is no such update, or release.
absl::Status FindSubject(OrchestratorClient& orchestrator, bool is_release,
                         const std::string& name) {
  if (is_release) {
    v1::GetReleaseRequest get;
    get.set_name(name);
    return orchestrator.Call(&Stub::GetRelease, get).status();
  }
  v1::GetUpdateRequest get;
  get.set_name(name);
  return orchestrator.Call(&Stub::GetUpdate, get).status();
}

v1::ListEventsResponse AsResponse(const std::vector<v1::Event>& events) {
  v1::ListEventsResponse response;
  response.mutable_events()->Assign(events.begin(), events.end());
  return response;
}

absl::StatusOr<ExitCode> ShowHistory(const Session& session, const HistoryOptions& options) {
  v1::ListEventsRequest request;
  if (!options.since.empty()) {
    const absl::StatusOr<absl::Time> since = report::ParseSince(options.since, absl::Now());
    if (!since.ok()) return Annotate(since.status(), "--since");
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*since));
  }
  OrchestratorClient orchestrator(session.orchestrator_target());
  const bool is_release = options.of.rfind("releases/", 0) == 0;
  if (is_release) {
    BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_subject(), ResourceName("releases", options.of));
  } else if (!options.of.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_subject(), orchestrator.ResolveUpdate(options.of));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Event> events, ReadEvents(orchestrator, request));
  if (events.empty() && !options.of.empty()) {  // What was let go of may have left a history.
    BACKFIRE_RETURN_IF_ERROR(FindSubject(orchestrator, is_release, request.subject()));
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(AsResponse(events), report::HistoryText(events)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ShowLog(const Session& session, const std::string& name) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::GetUpdateRequest get;
  BACKFIRE_ASSIGN_OR_RETURN(*get.mutable_name(), orchestrator.ResolveUpdate(name));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update, orchestrator.Call(&Stub::GetUpdate, get));
  v1::ListEventsRequest request;
  request.set_subject(update.name());
  BACKFIRE_ASSIGN_OR_RETURN(std::vector<v1::Event> events, ReadEvents(orchestrator, request));
  if (!update.release().empty()) {
    request.set_subject(update.release());
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Event> of_release,
                              ReadEvents(orchestrator, request));
    events.insert(events.end(), of_release.begin(), of_release.end());
    std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) {
      return std::make_pair(a.time().seconds(), a.time().nanos()) <
             std::make_pair(b.time().seconds(), b.time().nanos());
    });
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(AsResponse(events), report::UpdateStory(update, events)));
  return ExitCode::kOk;
}

}  // namespace

void AddHistoryCommand(CLI::App& app, Session& session) {
  const auto options = std::make_shared<HistoryOptions>();
  CLI::App& command = AddAction(
      app, session, "history",
      "Show what happened to the system, its updates and releases, oldest first\n\nWho, as they "
      "said, and why. Times are UTC.\nExample: backfire history --since yesterday",
      [&session, options] { return ShowHistory(session, *options); });
  command.add_option("--since", options->since,
                     "A span (2h, 90m, 3d), today, yesterday, or a time: 2026-11-30, "
                     "'2026-11-30 14:02'; default: all");
  command.add_option("--of", options->of, "Only of this update or release: updates/3, releases/2");
}

void AddUpdateLog(CLI::App& topic, Session& session) {
  const auto name = std::make_shared<std::string>();
  AddAction(topic, session, "log",
            "Tell an update's story in order: what happened, when, by whom, why\n\nExample: "
            "backfire update log latest",
            [&session, name] { return ShowLog(session, *name); })
      .add_option("update", *name,
                  "NUMBER or updates/NUMBER, `latest`, or `baseline` of the current system")
      ->required();
}

}  // namespace backfire::cli
