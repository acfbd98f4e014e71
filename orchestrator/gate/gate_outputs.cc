#include "orchestrator/gate/gate_outputs.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <utility>
#include <vector>

#include "orchestrator/gate/annotations.h"
#include "orchestrator/gate/gate_text.h"
#include "orchestrator/gate/junit.h"
#include "orchestrator/gate/markdown.h"
#include "orchestrator/page/flips_file.h"
#include "orchestrator/page/page.h"
#include "orchestrator/report/json_report.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {

void AddOutputOptions(CLI::App& app, GateOutputs& outputs) {
  AddFormatOption(app, outputs.format);
  app.add_option("--json", outputs.json, "File for the report as JSON: backfire.v1.GateReport");
  app.add_option("--junit", outputs.junit, "File for JUnit's XML: a test case per vertex and loss");
  app.add_option("--markdown", outputs.markdown, "File for a comment on a pull request");
  auto& html = *app.add_option("--html", outputs.html,
                               "File for a report to be read: one page that stands alone");
  app.add_option("--flips", outputs.flips,
                 "What `backfire vision flips` wrote of an update's two releases, for that page: "
                 "test frames that got worse, with pictures")
      ->needs(&html);
  app.add_flag("--annotate", outputs.annotate,
               "Print GitHub's ::error and ::warning lines on standard error");
}

absl::Status WriteOutputs(const v1::GateReport& report, const GateOutputs& outputs,
                          std::ostream& out, std::ostream& err) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string json, report::ToJson(report));
  page::PageEntry entry = {"", report, outputs.command};
  if (!outputs.flips.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(entry.flips, page::ReadFlips(outputs.flips));
    BACKFIRE_RETURN_IF_ERROR(page::CheckFlips(outputs.flips, entry.flips, report));
  }
  // All are made before any is written.
  const std::vector<std::pair<std::string, std::string>> files = {
      {outputs.json, json},
      {outputs.junit, JunitXml(report)},
      {outputs.markdown, Markdown(report)},
      {outputs.html, outputs.html.empty() ? "" : page::HtmlPage({entry})},
  };
  for (const auto& [path, content] : files) {
    if (!path.empty()) BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(path, content));
  }
  errno = 0;
  out << (outputs.format == "json" ? json : GateText(report));
  // Which GitHub reads as well, and JSON stays JSON.
  if (outputs.annotate) err << Annotations(report);
  out.flush();
  if (!out.good()) return ErrnoToStatus(errno == 0 ? EIO : errno, "standard output");
  return absl::OkStatus();
}

}  // namespace backfire::gate
