#include "orchestrator/gate/markdown.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/report/numbers.h"

namespace backfire::gate {
namespace {

// GitHub takes 65536 characters.
constexpr size_t kMostBytes = 60000;
// What is kept for the end of the comment.
constexpr size_t kEndBytes = 2000;

constexpr char kHeading[] =
    "| vertex | loss | before | after | worse by | bounds | margin | stands |\n"
    "|---|---|--:|--:|--:|:-:|--:|---|\n";

// Text that stays text: no markup, no mention of a person, no new cell.
std::string Plain(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"|", "\\|"},
                                    {"\n", " "},
                                    {"@", "@&#8203;"},
                                    {"*", "\\*"},
                                    {"_", "\\_"},
                                    {"`", "\\`"},
                                    {"[", "\\["},
                                    {"]", "\\]"}});
}

std::string RowOf(const v1::GateResult& result, const v1::LossComparison& one) {
  using report::FormatNumber;
  using report::FormatSigned;
  const auto own = [&](double value) {
    return FormatNumber(result.higher_is_better() ? 0.0 - value : value);
  };
  std::string loss = one.loss();
  if (!one.slice().empty()) absl::StrAppend(&loss, " [", one.slice(), "]");
  absl::StrAppend(&loss, report::UnitSuffix(one.unit()));
  const bool bounded = !std::isnan(one.interval_low()) && !std::isnan(one.interval_high());
  std::string stands = StatusWord(result, one);
  if (!result.waived_because().empty()) absl::StrAppend(&stands, ": ", result.waived_because());
  return absl::StrCat(
      "| ", Plain(one.vertex()), one.candidate() ? " (candidate)" : "", " | ", Plain(loss), " | ",
      own(one.before()), " | ", own(one.after()), " | ", FormatSigned(one.difference()), " | ",
      bounded ? absl::StrCat(FormatSigned(one.interval_low()), " ... ",
                             FormatSigned(one.interval_high()))
              : "-",
      " | ", one.judged() ? FormatNumber(one.margin()) : "-", " | ", Plain(stands), " |\n");
}

// Appends rows as far as they fit, and says how many did not.
void AppendRows(const std::vector<std::string>& rows, size_t most_bytes, std::string& text) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (text.size() + rows[i].size() > most_bytes) {
      absl::StrAppend(&text, "\n", rows.size() - i, " more rows: see the JSON report.\n");
      return;
    }
    text += rows[i];
  }
}

}  // namespace

std::string Markdown(const v1::GateReport& report) {
  const char* mark = report.outcome() == v1::GateReport::PASSED    ? "✅"
                     : report.outcome() == v1::GateReport::REFUSED ? "❌"
                                                                   : "⚠️";
  std::string text = absl::StrCat(kMarkdownMarker, "\n### ", mark,
                                  " backfire gate: ", Plain(GateHeadline(report)), "\n\n");
  if (!report.has_verdict()) return text;
  if (!report.verdict().summary().empty()) {
    absl::StrAppend(&text, Plain(report.verdict().summary()).substr(0, 4000), "\n\n");
  }
  std::vector<std::string> first, rest, prospects;
  for (const int i : WorstFirst(report)) {
    const v1::GateResult& result = report.results(i);
    const bool folded =
        result.status() == v1::GateResult::OK || result.status() == v1::GateResult::ADVISORY;
    (folded ? rest : first).push_back(RowOf(result, report.verdict().comparisons(i)));
    if (!result.would_decide().empty()) {
      prospects.push_back(
          absl::StrCat("- ", Plain(ResultTitle(result)), ": ", Plain(result.would_decide()), "\n"));
    }
  }
  if (!first.empty()) {
    text += kHeading;
    AppendRows(first, kMostBytes - 2 * kEndBytes, text);
    text += "\n";
  }
  for (const v1::Waiver& waiver : report.expired_waivers()) {
    if (text.size() > kMostBytes - kEndBytes) break;
    absl::StrAppend(&text, "- **Expired waiver** of ", Plain(waiver.vertex()), " ",
                    Plain(waiver.loss()), ": ", Plain(waiver.owner()), ", until ", waiver.expires(),
                    ": ", Plain(waiver.reason()).substr(0, 500), "\n");
  }
  for (const std::string& note : report.notes()) {
    if (text.size() > kMostBytes - kEndBytes) break;
    absl::StrAppend(&text, "- ", Plain(note).substr(0, 500), "\n");
  }
  const auto fold = [&](const std::string& title, const char* heading,
                        const std::vector<std::string>& rows) {
    if (rows.empty() || text.size() > kMostBytes - 2 * kEndBytes) return;
    absl::StrAppend(&text, "\n<details><summary>", title, "</summary>\n\n", heading);
    AppendRows(rows, kMostBytes - kEndBytes, text);
    text += "\n</details>\n";
  };
  fold("What would decide", "", prospects);
  fold(absl::StrCat(rest.size(), rest.size() == 1 ? " loss" : " losses", " without a finding"),
       kHeading, rest);
  absl::StrAppend(&text, "\n<sub>Seeds ", absl::StrJoin(report.seeds(), ", ").substr(0, 300),
                  "; alpha ", report::FormatNumber(report.verdict().alpha()), " over ",
                  report.verdict().family(), " blocking losses; policy ",
                  report.policy_digest().substr(0, 12), ", records ",
                  report.before_digest().substr(0, 12), " and ",
                  report.after_digest().substr(0, 12), ".</sub>\n");
  if (report.has_self_test()) {
    absl::StrAppend(&text, "\n<sub>", Plain(SelfTestLine(report.self_test())).substr(0, 700),
                    "</sub>\n");
  }
  return text;
}

}  // namespace backfire::gate
