#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/plain_words.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {
namespace {

using markup::Markup;

Standing OutcomeStanding(const v1::GateReport& report) {
  switch (report.outcome()) {
    case v1::GateReport::PASSED:
      return Standing::kBetter;
    case v1::GateReport::REFUSED:
      return Standing::kBlocks;
    default:
      return Standing::kOpen;
  }
}

void AppendTile(const std::string& term, const std::string& number, const std::string& what,
                Markup& to) {
  to.Open("div").Element("dt", {}, term).Open("dd");
  to.Element("strong", {}, number).Element("span", {}, what);
  to.Close().Close().Line();
}

// The candidate's own loss that stands worst.
void AppendCandidate(const View& view, Markup& to) {
  for (const VertexView& vertex : view.vertices) {
    if (!vertex.candidate) continue;
    const v1::GateResult& result = view.result(vertex.results.front());
    const v1::LossComparison& one = view.comparison(vertex.results.front());
    AppendTile(
        absl::StrCat(vertex.name, ", by itself"), WordOf(vertex.standing),
        absl::StrCat(LossTitle(one), " ", report::FormatNumber(gate::OwnSign(result, one.before())),
                     " \xe2\x86\x92 ", report::FormatNumber(gate::OwnSign(result, one.after()))),
        to);
  }
}

void AppendBehind(const View& view, Markup& to) {
  int behind = 0, harmed = 0, open = 0, waived = 0;
  for (const VertexView& vertex : view.vertices) {
    if (vertex.candidate || vertex.standing >= Standing::kAdvisory) continue;
    ++behind;
    harmed += vertex.standing == Standing::kBlocks ? 1 : 0;
    open += vertex.standing == Standing::kOpen ? 1 : 0;
    waived += vertex.standing == Standing::kWaived ? 1 : 0;
  }
  if (behind == 0) return;
  const int fine = behind - harmed - open - waived;
  std::string others;
  const auto add = [&others](int count, const char* what) {
    if (count > 0) {
      absl::StrAppend(&others, others.empty() ? "" : ", ", count, " ", what);
    }
  };
  add(open, "can\xe2\x80\x99t be decided");
  add(waived, "waived");
  add(fine, "no worse than allowed");
  AppendTile("Models behind it", absl::StrCat(harmed, " of ", behind, " worse"), others, to);
}

void AppendSample(const View& view, Markup& to) {
  int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
  for (const v1::LossComparison& one : view.report.verdict().comparisons()) {
    if (!one.judged() || one.example_count() == 0 || !one.slice().empty()) continue;
    least = std::min(least, one.example_count());
    most = std::max(most, one.example_count());
  }
  const int seeds = view.report.verdict().replicates();
  AppendTile("Measured", absl::StrCat(seeds, seeds == 1 ? " training each" : " trainings each"),
             most == 0      ? std::string("before and after")
             : least < most ? absl::StrCat("on ", least, " to ", most, " test examples")
                            : absl::StrCat("on ", most, " test examples"),
             to);
}

void AppendSelfTest(const View& view, Markup& to) {
  const v1::GateReport& report = view.report;
  if (!report.has_self_test()) return;
  const v1::GateSelfTest& test = report.self_test();
  AppendTile(
      "Tested on itself", absl::StrFormat("%.1f %% false alarms", 100 * test.false_alarms()),
      absl::StrFormat("\xc2\xb1 %.1f %% of %d allowed changes, simulated; at most %.3g %% is "
                      "meant. %.0f %% of harmless ones pass",
                      200 * test.false_alarms_error(), test.updates(), 100 * test.alpha(),
                      100 * test.passes()),
      to);
}

}  // namespace

void AppendVerdict(const View& view, Markup& to) {
  const v1::GateReport& report = view.report;
  const Standing standing = OutcomeStanding(report);
  to.Open("header", {{"class", absl::StrCat("verdict ", ClassOf(standing))},
                     {"id", absl::StrCat(view.prefix, "verdict")}});
  AppendSymbol(standing, to);
  to.Open("div").Open(view.prefix.empty() ? "h1" : "h2").Text(OutcomeWord(report));
  if (report.has_verdict()) {
    to.Text(" ").Element("small", {}, v1::Verdict::Outcome_Name(report.verdict().outcome()));
  }
  to.Close().Line();
  to.Element("p", {{"class", "plain-words"}}, PlainVerdict(view)).Close().Close().Line();
  if (!report.has_verdict()) return;
  to.Open("dl", {{"class", "tiles"}}).Line();
  AppendCandidate(view, to);
  AppendBehind(view, to);
  AppendSample(view, to);
  AppendSelfTest(view, to);
  to.Close().Line();
  if (!report.notes().empty()) {
    to.Open("ul", {{"class", "notes"}});
    for (const std::string& note : report.notes()) to.Element("li", {}, note);
    to.Close().Line();
  }
}

}  // namespace backfire::page
