#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/cli/update_flips.h"
#include "orchestrator/gate/decision.h"
#include "orchestrator/gate/gate.h"
#include "orchestrator/gate/memory_file.h"
#include "orchestrator/gate/reproduction.h"
#include "orchestrator/page/flips_file.h"
#include "orchestrator/page/page.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::string what, out, policy, flips;
  FlipsOptions own_flips;  // Where no file of them is given.
};

// What evidence comes to, as `backfire gate` has it.
absl::StatusOr<page::PageEntry> EntryOf(const std::string& title, const std::string& evidence,
                                        const ReportOptions& options) {
  gate::GateRequest request;
  request.evidence = evidence;
  request.policy = options.policy;
  request.today = gate::DayOf(absl::ToUnixSeconds(absl::Now()));
  BACKFIRE_ASSIGN_OR_RETURN(gate::Answer answer, gate::RunGate(request));
  std::string command = gate::CommandOf(request, answer.report);
  return page::PageEntry{title, std::move(answer.report), std::move(command)};
}

// A study: a folder that has the evidence of each of its systems.
absl::StatusOr<std::vector<page::PageEntry>> StudyEntries(const ReportOptions& options) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(options.what, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".jsonl") files.push_back(entry->path());
  }
  if (error) return ErrnoToStatus(error.value(), options.what);
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat(
        options.what,
        ": has no evidence *.jsonl, as `backfire study figures --evidence` writes it"));
  }
  std::sort(files.begin(), files.end());
  std::vector<page::PageEntry> entries;
  for (const fs::path& file : files) {
    BACKFIRE_ASSIGN_OR_RETURN(page::PageEntry entry,
                              EntryOf(file.stem().string(), file.string(), options));
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<std::vector<page::PageEntry>> EntriesOf(const Session& session,
                                                       const ReportOptions& options) {
  std::error_code error;
  if (fs::is_directory(options.what, error)) return StudyEntries(options);
  std::vector<page::PageEntry> entries;
  if (fs::is_regular_file(options.what, error)) {
    BACKFIRE_ASSIGN_OR_RETURN(page::PageEntry entry, EntryOf("", options.what, options));
    entries.push_back(std::move(entry));
    return entries;
  }
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const std::string name, orchestrator.ResolveUpdate(options.what));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, orchestrator.ExportEvidence(name));
  BACKFIRE_ASSIGN_OR_RETURN(const gate::MemoryFile file,
                            gate::MemoryFile::Make("the evidence", lines));
  BACKFIRE_ASSIGN_OR_RETURN(page::PageEntry entry, EntryOf("", file.path(), options));
  entries.push_back(std::move(entry));
  if (!options.flips.empty()) return entries;
  const auto json = MakeFlipsIfPossible(session, orchestrator, name, options.own_flips);
  if (!json.has_value()) return entries;
  BACKFIRE_ASSIGN_OR_RETURN(const gate::MemoryFile flips, gate::MemoryFile::Make("flips", *json));
  BACKFIRE_ASSIGN_OR_RETURN(entries.front().flips, page::ReadFlips(flips.path()));
  return entries;
}

// Adds them to the page of the update whose two releases they are of.
absl::Status AddFlips(const std::string& path, v1::ExampleFlips flips,
                      std::vector<page::PageEntry>& entries) {
  if (entries.size() != 1) {
    return absl::InvalidArgumentError("--flips goes with one update, not with a study");
  }
  page::PageEntry& entry = entries.front();
  BACKFIRE_RETURN_IF_ERROR(page::CheckFlips(path, flips, entry.report));
  entry.flips = std::move(flips);
  return absl::OkStatus();
}

}  // namespace

void AddReportCommand(CLI::App& app, Session& session) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App& command = AddCommand(
      app, "report",
      "Write a report of an update, or of a study, to be read: one HTML page that stands alone\n\n"
      "Examples: backfire report latest --out report.html\n"
      "  backfire report evidence/ --out study.html\n"
      "  backfire report 2 --flips flips.json --out report.html");
  AddOrchestrator(command, session);
  command
      .add_option("what", options->what,
                  "An update: NUMBER or updates/NUMBER, or `latest`; a file that `update export` "
                  "wrote; or a study: the folder of `backfire study figures --evidence`")
      ->required();
  command.add_option("--out", options->out, "The page's file")->required();
  command.add_option("--policy", options->policy,
                     "A gate's policy: its waivers and fail_on are applied");
  command.add_option("--flips", options->flips,
                     "What `backfire vision flips` wrote of the update's two releases, where it "
                     "can't be asked here: test frames that got worse, with pictures");
  AddFlipsOptions(command, options->own_flips);
  command.callback([&session, options] {
    session.action = [&session, options]() -> absl::StatusOr<ExitCode> {
      v1::ExampleFlips flips;
      if (!options->flips.empty()) {  // A file of this machine, before anybody is asked.
        BACKFIRE_ASSIGN_OR_RETURN(flips, page::ReadFlips(options->flips));
      }
      BACKFIRE_ASSIGN_OR_RETURN(auto entries, EntriesOf(session, *options));
      if (!options->flips.empty()) {
        BACKFIRE_RETURN_IF_ERROR(AddFlips(options->flips, std::move(flips), entries));
      }
      BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(options->out, page::HtmlPage(entries)));
      *session.out << "the report is in " << options->out << std::endl;
      return ExitCode::kOk;
    };
  });
}

}  // namespace backfire::cli
