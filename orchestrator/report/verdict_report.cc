#include "orchestrator/report/verdict_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

/// `ap_3d [depth_0_20_m] (percent)`, as far as there are a slice and a unit.
std::string LossTitle(const LossComparison& comparison) {
  std::string title = comparison.loss();
  if (!comparison.slice().empty()) absl::StrAppend(&title, " [", comparison.slice(), "]");
  absl::StrAppend(&title, UnitSuffix(comparison.unit()));
  return title;
}

// What the intervals are. Verdicts by an earlier rule, which knew no levels, have symmetric ones.
std::string IntervalLegend(const Verdict& verdict) {
  const double alpha = verdict.look_alpha() > 0 ? verdict.look_alpha() : 0.05;
  const bool one_sided =
      std::any_of(verdict.comparisons().begin(), verdict.comparisons().end(),
                  [](const LossComparison& comparison) { return comparison.level() > 0; });
  if (!one_sided) {
    return absl::StrFormat("  interval: two-sided, of confidence %g %%.\n", 100 * (1 - alpha));
  }
  return absl::StrFormat(
      "  interval: one-sided bounds, as the tests have them. Right, of confidence %.4g %%: below "
      "the "
      "margin\n  it is no worse. Left, after Holm's correction over %d judged losses: above the "
      "margin it is worse.\n",
      100 * (1 - alpha), verdict.family());
}

// `9 to 16`, of what a verdict's judged losses have.
template <typename Get>
std::string Range(const Verdict& verdict, int decimals, const Get& get) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (const LossComparison& comparison : verdict.comparisons()) {
    if (!comparison.judged()) continue;
    least = std::min(least, static_cast<double>(get(comparison)));
    most = std::max(most, static_cast<double>(get(comparison)));
  }
  const std::string greatest = absl::StrFormat("%.*f", decimals, most);
  return least < most ? absl::StrFormat("%.*f to %s", decimals, least, greatest) : greatest;
}

// How many test examples and clusters a verdict rests on; nothing for verdicts of before these were
// counted.
std::string SampleLine(const Verdict& verdict) {
  const auto any = [&](const auto& is) {
    return std::any_of(verdict.comparisons().begin(), verdict.comparisons().end(),
                       [&](const LossComparison& one) { return one.judged() && is(one); });
  };
  if (!any([](const LossComparison& one) { return one.example_count() > 0; })) return "";
  const std::string examples = absl::StrCat(
      "Test examples: ", Range(verdict, 0, [](const auto& one) { return one.example_count(); }));
  if (any([](const LossComparison& one) { return one.cluster_count() == 0; })) {
    return absl::StrCat(
        examples,
        ", each counted as independent, as the dataset names no clusters: if they "
        "are drives, users\nor sessions, harm and safety are claimed too readily.\n");
  }
  if (!any([](const LossComparison& one) { return one.cluster_count() < one.example_count(); })) {
    return absl::StrCat(examples, ", each a cluster by itself.\n");
  }
  const auto clusters = [](const auto& one) { return one.cluster_count(); };
  const auto effective = [](const auto& one) { return one.effective_cluster_count(); };
  const bool unequal = any([](const LossComparison& one) {
    return one.effective_cluster_count() < 0.95 * static_cast<double>(one.cluster_count());
  });
  return absl::StrCat(examples, ", in ", Range(verdict, 0, clusters), " clusters",
                      unequal ? absl::StrCat(", which say as much as ",
                                             Range(verdict, 1, effective), " of one size")
                              : "",
                      ".\n");
}

std::string ReplicateTable(const Verdict& verdict) {
  std::vector<TextTable::Column> columns = {{"vertex"}, {"loss"}};
  for (int k = 0; k < verdict.replicates(); ++k) {
    columns.push_back({absl::StrCat("#", k), TextTable::Align::kRight});
  }
  TextTable table(std::move(columns));
  for (const LossComparison& comparison : verdict.comparisons()) {
    std::vector<std::string> cells = {comparison.vertex(), LossTitle(comparison)};
    for (const double difference : comparison.differences()) {
      cells.push_back(FormatSigned(difference));
    }
    table.AddRow(std::move(cells));
  }
  return table.ToString(2);
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
  TextTable table({{"vertex"},
                   {"loss"},
                   {"before", Align::kRight},
                   {"swapped", Align::kRight},
                   {"after", Align::kRight},
                   {"difference", Align::kRight},
                   {"interval", Align::kRight},
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
                  LossTitle(comparison), FormatNumber(comparison.before()),
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
  // What was found, then why: a table of many descendants is long.
  std::string text = absl::StrCat("Verdict: ", VerdictHeadline(verdict), "\n\n");
  if (!verdict.summary().empty()) absl::StrAppend(&text, verdict.summary(), "\n");
  absl::StrAppend(
      &text, "Definition 2.1 on the numbers alone: ",
      verdict.definition_2_1() ? "self-defeating" : "not self-defeating", ".\n",
      "Replicates: ", verdict.replicates(), verdict.first_look() ? " (a first look)" : "",
      ". Candidates that this test split has judged so far: ", verdict.candidates_judged(), ".\n",
      SampleLine(verdict));
  if (verdict.planned_looks() > 1) {
    absl::StrAppend(&text, "Look ", verdict.look(), " of ", verdict.planned_looks(),
                    " that were planned; this one may test at up to ",
                    FormatNumber(verdict.look_alpha()), ", and all of them spend alpha ",
                    FormatNumber(verdict.alpha()), ".\n");
  }
  absl::StrAppend(&text, "\n", VerdictTable(verdict),
                  "\n  * the candidate. Losses: lower is better; an average precision is negated.\n"
                  "  swapped: the old version, fed by the candidate; after: retrained on it.\n",
                  IntervalLegend(verdict));
  if (verdict.replicates() > 1) {
    absl::StrAppend(&text, "\nDifferences by replicate, after - before:\n",
                    ReplicateTable(verdict));
  }
  return text;
}

}  // namespace backfire::report
