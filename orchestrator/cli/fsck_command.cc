#include <google/protobuf/struct.pb.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/fsck/fsck.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using fsck::Finding;

// What is worst decides what the command exits with.
ExitCode ExitCodeOf(const std::vector<Finding>& findings) {
  ExitCode code = ExitCode::kOk;
  for (const Finding& finding : findings) {
    if (finding.status.ok()) continue;
    if (!absl::IsFailedPrecondition(finding.status)) return ExitCode::kFailed;
    code = ExitCode::kWrongState;
  }
  return code;
}

// What is wrong, without the path in front, which stands there already.
absl::string_view FaultOf(const Finding& finding) {
  absl::string_view message = finding.status.message();
  absl::ConsumePrefix(&message, absl::StrCat(finding.path.string(), ": "));
  return message;
}

std::string TextOf(const std::vector<Finding>& findings) {
  std::string text;
  std::map<std::string, int> counts;
  int faulty = 0;
  for (const Finding& finding : findings) {
    ++counts[finding.kind];
    if (finding.status.ok()) continue;
    ++faulty;
    absl::StrAppend(&text, absl::StatusCodeToString(finding.status.code()), " ", finding.kind, " ",
                    finding.path.string(), ": ", FaultOf(finding), "\n");
  }
  const std::string seen = absl::StrJoin(counts, ", ", [](std::string* out, const auto& count) {
    const bool is_one = count.second == 1 || count.first == "outputs" || count.first == "loaded";
    absl::StrAppend(out, count.second, " ", count.first, is_one ? "" : "s");
  });
  return absl::StrCat(text, counts.empty() ? "nothing to check" : seen, ": ",
                      faulty == 0 ? "sound" : absl::StrCat(faulty, " faulty"), "\n");
}

google::protobuf::Struct JsonOf(const std::vector<Finding>& findings) {
  google::protobuf::Struct json;
  auto& list = *(*json.mutable_fields())["findings"].mutable_list_value();
  for (const Finding& finding : findings) {
    auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
    fields["kind"].set_string_value(finding.kind);
    fields["path"].set_string_value(finding.path.string());
    fields["code"].set_string_value(absl::StatusCodeToString(finding.status.code()));
    fields["message"].set_string_value(std::string(finding.status.message()));
  }
  return json;
}

absl::StatusOr<ExitCode> Fsck(const Session& session,
                              const std::vector<std::filesystem::path>& folders) {
  std::vector<Finding> findings;
  for (const std::filesystem::path& folder : folders) {
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<Finding> found, fsck::CheckFolder(folder));
    findings.insert(findings.end(), found.begin(), found.end());
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(JsonOf(findings), TextOf(findings)));
  return ExitCodeOf(findings);
}

}  // namespace

void AddFsckCommand(CLI::App& app, Session& session) {
  auto& command = AddCommand(
      app, "fsck",
      "Check what is kept on disk, every byte of it: stores, versions, jobs, kept outputs\n\n"
      "Changes nothing; the "
      "programs may run. Names what is not as it was written, and exits 5 if there is any, 4 if a "
      "newer program made it.\nExamples: backfire fsck\n          backfire fsck "
      "/var/lib/backfire --format json");
  const auto folders = std::make_shared<std::vector<std::filesystem::path>>();
  command.add_option("folders", *folders, "Folders to look below; default: --data-dir");
  AddDataDirectory(command, session);
  AddFormat(command, session);
  command.callback([&session, folders] {
    session.action = [&session, folders] {
      return Fsck(session, folders->empty()
                               ? std::vector<std::filesystem::path>{session.data_directory}
                               : *folders);
    };
  });
}

}  // namespace backfire::cli
