#include "orchestrator/gate/gate_text.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"

namespace backfire::gate {
namespace {

using report::FormatNumber;
using report::FormatSigned;
using v1::GateResult;
using v1::LossComparison;

std::string Table(const v1::GateReport& report, std::vector<std::string>& notes) {
  using Align = report::TextTable::Align;
  report::TextTable table({{"vertex"},
                           {"loss"},
                           {"before", Align::kRight},
                           {"swapped", Align::kRight},
                           {"after", Align::kRight},
                           {"worse by", Align::kRight},
                           {"bounds", Align::kRight},
                           {"margin", Align::kRight},
                           {"stands"},
                           {""}});
  const auto note_number = [&notes](const std::string& note) -> std::string {
    if (note.empty()) return "";
    auto found = std::find(notes.begin(), notes.end(), note);
    if (found == notes.end()) found = notes.insert(found, note);
    return absl::StrCat("[", found - notes.begin() + 1, "]");
  };
  for (const int i : WorstFirst(report)) {
    const GateResult& result = report.results(i);
    const LossComparison& one = report.verdict().comparisons(i);
    std::string loss = one.loss();
    if (!one.slice().empty()) absl::StrAppend(&loss, " [", one.slice(), "]");
    absl::StrAppend(&loss, report::UnitSuffix(one.unit()));
    table.AddRow(
        {absl::StrCat(one.vertex(), one.candidate() ? " *" : ""), loss,
         FormatNumber(OwnSign(result, one.before())),
         std::isnan(one.swapped()) ? "-" : FormatNumber(OwnSign(result, one.swapped())),
         FormatNumber(OwnSign(result, one.after())), FormatSigned(one.difference()), BoundsOf(one),
         one.judged() ? FormatNumber(one.margin()) : "-", StatusWord(result, one),
         absl::StrCat(note_number(one.note()),
                      note_number(result.waived_because().empty()
                                      ? ""
                                      : absl::StrCat("waived: ", result.waived_because())))});
  }
  return table.ToString(2);
}

}  // namespace

std::string GateText(const v1::GateReport& report) {
  std::string text = absl::StrCat(GateHeadline(report), "\n");
  if (!report.has_verdict()) return text;
  const v1::Verdict& verdict = report.verdict();
  absl::StrAppend(&text, "\n", verdict.summary(), "\n\n");
  std::vector<std::string> notes;
  absl::StrAppend(&text, Table(report, notes));
  for (size_t i = 0; i < notes.size(); ++i) {
    absl::StrAppend(&text, "  [", i + 1, "] ", notes[i], "\n");
  }
  absl::StrAppend(&text,
                  "\n  * the candidate. Worse by: after - before, or before - after where "
                  "higher is better. Bounds are of\n  that: above the margin on the left it "
                  "is worse, below it on the right it is no worse.\n");
  bool any_open = false;
  for (const int i : WorstFirst(report)) {
    const GateResult& result = report.results(i);
    if (result.would_decide().empty()) continue;
    absl::StrAppend(&text, any_open ? "" : "\nWhat would decide:\n", "  ", ResultTitle(result),
                    ": ", result.would_decide(), "\n");
    any_open = true;
  }
  const auto waivers = [&text](const char* what, const auto& list) {
    for (const v1::Waiver& waiver : list) {
      absl::StrAppend(&text, "Waiver ", what, ": ", waiver.vertex(),
                      waiver.loss().empty() ? "" : " ", waiver.loss(), ", ", waiver.owner(),
                      ", until ", waiver.expires(), ": ", waiver.reason(), "\n");
    }
  };
  absl::StrAppend(&text, "\n");
  waivers("EXPIRED", report.expired_waivers());
  waivers("that waived nothing", report.unused_waivers());
  for (const std::string& note : report.notes()) absl::StrAppend(&text, note, "\n");
  absl::StrAppend(&text, "Seeds: ", absl::StrJoin(report.seeds(), ", "), ". alpha ",
                  FormatNumber(verdict.alpha()), " over ", verdict.family(),
                  " blocking losses, by Holm's correction");
  if (verdict.planned_looks() > 1) {
    absl::StrAppend(&text, "; look ", verdict.look(), " of ", verdict.planned_looks());
  }
  absl::StrAppend(&text, ".\n");
  if (report.has_self_test()) absl::StrAppend(&text, SelfTestLine(report.self_test()), "\n");
  return text;
}

}  // namespace backfire::gate
