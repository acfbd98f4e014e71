#include "orchestrator/report/verdict_report.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {
namespace {

using v1::LossComparison;
using v1::Verdict;

std::string Interval(const LossComparison& comparison) {
  if (std::isnan(comparison.interval_low()) || std::isnan(comparison.interval_high())) return "-";
  return absl::StrCat("[", FormatSigned(comparison.interval_low()), ", ",
                      FormatSigned(comparison.interval_high()), "]");
}

std::string Direction(const LossComparison& comparison) {
  if (std::isnan(comparison.difference())) return "-";
  if (comparison.difference() < 0) return "better";
  return comparison.difference() > 0 ? "worse" : "equal";
}

std::string Evidence(const LossComparison& comparison) {
  return comparison.judged() ? LossComparison::Outcome_Name(comparison.outcome()) : "not judged";
}

std::string WithUnit(const LossComparison& comparison) {
  return comparison.unit().empty() ? comparison.loss()
                                   : absl::StrCat(comparison.loss(), " (", comparison.unit(), ")");
}

}  // namespace

std::string VerdictHeadline(const Verdict& verdict) {
  std::string meaning;
  switch (verdict.outcome()) {
    case Verdict::SELF_DEFEATING:
      meaning = "the candidate is no worse by itself, and makes a descendant worse";
      break;
    case Verdict::SAFE:
      meaning = "the candidate is no worse by itself, and neither is any descendant";
      break;
    case Verdict::NOT_AN_IMPROVEMENT:
      meaning = "the candidate is worse by itself";
      break;
    default:
      meaning = verdict.first_look() ? "a first look can't decide" : "the evidence does not say";
  }
  return absl::StrCat(Verdict::Outcome_Name(verdict.outcome()), ": ", meaning,
                      verdict.harmed() && verdict.outcome() != Verdict::SELF_DEFEATING
                          ? "; a descendant is worse"
                          : "");
}

std::string VerdictTable(const Verdict& verdict) {
  using Align = TextTable::Align;
  const double confidence = 100 * (1 - (verdict.alpha() > 0 ? verdict.alpha() : 0.05));
  TextTable table({{"vertex"},
                   {"loss"},
                   {"before", Align::kRight},
                   {"swapped", Align::kRight},
                   {"after", Align::kRight},
                   {"difference", Align::kRight},
                   {absl::StrFormat("%g %% interval", confidence), Align::kRight},
                   {"margin", Align::kRight},
                   {"numbers"},
                   {"evidence"},
                   {"note"}});
  // Notes are sentences: numbers in the table, and each once below it.
  std::vector<std::string> notes;
  const auto note_number = [&notes](const std::string& note) -> std::string {
    if (note.empty()) return "";
    auto found = std::find(notes.begin(), notes.end(), note);
    if (found == notes.end()) found = notes.insert(found, note);
    return absl::StrCat("[", found - notes.begin() + 1, "]");
  };
  for (const LossComparison& comparison : verdict.comparisons()) {
    table.AddRow({absl::StrCat(comparison.vertex(), comparison.candidate() ? " *" : ""),
                  WithUnit(comparison), FormatNumber(comparison.before()),
                  comparison.candidate() ? "-" : FormatNumber(comparison.swapped()),
                  FormatNumber(comparison.after()), FormatSigned(comparison.difference()),
                  Interval(comparison),
                  comparison.judged() ? FormatNumber(comparison.margin()) : "-",
                  Direction(comparison), Evidence(comparison), note_number(comparison.note())});
  }
  std::string text = table.ToString(2);
  for (const std::string& note : notes) {
    absl::StrAppend(&text, "  ", note_number(note), " ", note, "\n");
  }
  return text;
}

std::string VerdictText(const Verdict& verdict) {
  std::string text =
      absl::StrCat("Verdict: ", VerdictHeadline(verdict), "\n\n", VerdictTable(verdict), "\n");
  absl::StrAppend(&text,
                  "  * the candidate. Losses: lower is better; an average precision is negated.\n"
                  "  swapped: the old version, fed by the candidate; after: retrained on it.\n\n");
  if (!verdict.summary().empty()) absl::StrAppend(&text, verdict.summary(), "\n");
  absl::StrAppend(
      &text, "Definition 2.1 on the numbers alone: ",
      verdict.definition_2_1() ? "self-defeating" : "not self-defeating", ".\n",
      "Replicates: ", verdict.replicates(), verdict.first_look() ? " (a first look)" : "",
      ". Candidates that this test split has judged so far: ", verdict.candidates_judged(), ".\n");
  std::vector<std::string> by_replicate;
  if (verdict.replicates() > 1) {
    for (const LossComparison& comparison : verdict.comparisons()) {
      const auto format = [](std::string* out, double value) {
        absl::StrAppend(out, FormatSigned(value));
      };
      by_replicate.push_back(absl::StrCat("  ", comparison.vertex(), " ", comparison.loss(), ": ",
                                          absl::StrJoin(comparison.differences(), " ", format)));
    }
    absl::StrAppend(&text, "Differences by replicate:\n", absl::StrJoin(by_replicate, "\n"), "\n");
  }
  return text;
}

}  // namespace backfire::report
