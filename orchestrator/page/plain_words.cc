#include "orchestrator/page/plain_words.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {
namespace {

using report::FormatNumber;
using v1::GateReport;
using v1::GateResult;

struct Counts {
  int behind = 0;  // Vertices behind the candidate that are judged.
  int harmed = 0;  // Of these, those with a result that blocks.
  int open = 0;    // Results that the evidence does not resolve.
  int judged = 0;  // Results that could block.
  bool candidate_blocks = false;
  bool candidate_better = false;
  int worst_behind = -1;  // Position of the worst result behind the candidate.
  int worst_own = -1;     // Of the candidate's.
  std::vector<std::string> waived;
};

Counts Count(const View& view) {
  Counts counts;
  for (const VertexView& vertex : view.vertices) {
    const bool judged = vertex.standing < Standing::kAdvisory;
    if (vertex.candidate) {
      counts.candidate_blocks = vertex.standing == Standing::kBlocks;
      counts.candidate_better = vertex.standing == Standing::kBetter;
      counts.worst_own = vertex.results.front();
    } else if (judged) {
      ++counts.behind;
      if (counts.worst_behind < 0) counts.worst_behind = vertex.results.front();
      counts.harmed += vertex.standing == Standing::kBlocks ? 1 : 0;
    }
    for (const int i : vertex.results) {
      const GateResult::Status status = view.result(i).status();
      counts.judged += status == GateResult::ADVISORY ? 0 : 1;
      counts.open += status == GateResult::OPEN ? 1 : 0;
      if (status == GateResult::WAIVED) counts.waived.push_back(gate::ResultTitle(view.result(i)));
    }
  }
  return counts;
}

std::string Subject(const GateReport& report) {
  return report.candidate().empty() ? "The change" : absl::StrCat("The new ", report.candidate());
}

// `the model behind it`, `none of the 12 models behind it`.
std::string OfThoseBehind(int some, int all) {
  if (all == 1) return "the model behind it";
  if (some == all) return absl::StrCat("all ", all, " models behind it");
  return absl::StrCat(some, " of the ", all, " models behind it");
}

std::string Refused(const View& view, const Counts& counts) {
  std::string text = Subject(view.report);
  if (counts.candidate_blocks) {
    absl::StrAppend(&text, " is worse than the one in use by its own measure: ",
                    PlainFinding(view, counts.worst_own), ".");
    if (counts.harmed > 0) {
      absl::StrAppend(&text, " So ", counts.harmed == 1 ? "is " : "are ",
                      OfThoseBehind(counts.harmed, counts.behind), ".");
    }
    return text;
  }
  absl::StrAppend(&text,
                  counts.candidate_better ? " is better by itself" : " is no worse by itself");
  if (counts.harmed == 0)
    return absl::StrCat(text, ", and yet refused: ", view.report.reason(), ".");
  absl::StrAppend(
      &text, ", and makes the system worse: ", OfThoseBehind(counts.harmed, counts.behind),
      counts.harmed == 1 ? " gets" : " get", " worse than was allowed, though retrained on it. ",
      counts.harmed > 1 ? "The worst is " : "It is ", view.result(counts.worst_behind).vertex(),
      ": ", PlainFinding(view, counts.worst_behind), ".");
  return text;
}

std::string Passed(const View& view, const Counts& counts) {
  if (view.report.verdict().outcome() != v1::Verdict::SAFE && counts.waived.empty()) {
    return absl::StrCat(absl::StrCat(view.report.reason()), ".");
  }
  std::string text = absl::StrCat(Subject(view.report), " can replace the one in use: it is ",
                                  counts.candidate_better ? "better" : "no worse", " by itself");
  if (counts.behind == 1) {
    text += ", and the model behind it, retrained on it, gets no worse than is allowed";
  } else if (counts.behind > 1) {
    absl::StrAppend(&text, ", and none of the ", counts.behind,
                    " models behind it, retrained on it, gets worse than is allowed");
  }
  if (!counts.waived.empty()) {
    absl::StrAppend(
        &text, ", but for what somebody has waived for now: ", counts.waived.front(),
        counts.waived.size() > 1 ? absl::StrCat(" and ", counts.waived.size() - 1, " more") : "");
  }
  return text + ".";
}

std::string Undecided(const View& view, const Counts& counts) {
  const v1::Verdict& verdict = view.report.verdict();
  if (verdict.first_look()) {
    return absl::StrCat("Nobody can tell yet: ", verdict.replicates(),
                        verdict.replicates() == 1 ? " training doesn't" : " trainings don't",
                        " tell a change from chance. It takes five, each with a seed of its own.");
  }
  if (counts.open > 0) {
    std::string text = absl::StrCat(
        "Nobody can tell yet whether ", absl::AsciiStrToLower(Subject(view.report).substr(0, 1)),
        Subject(view.report).substr(1), " is safe: of ", counts.judged, " comparisons ",
        counts.open, counts.open == 1 ? " is" : " are", " still open.");
    if (verdict.harmed()) text += " Something behind it is worse already.";
    return text;
  }
  std::string reason = view.report.reason();
  if (!reason.empty()) {
    reason[0] = absl::ascii_toupper(static_cast<unsigned char>(reason[0]));
  }
  return reason + ".";
}

}  // namespace

std::string OutcomeWord(const GateReport& report) {
  switch (report.outcome()) {
    case GateReport::PASSED:
      return "Passed";
    case GateReport::REFUSED:
      return "Refused";
    default:
      return "Undecided";
  }
}

std::string PlainFinding(const View& view, int result) {
  const GateResult& is = view.result(result);
  const v1::LossComparison& one = view.comparison(result);
  const std::string unit = one.unit() == "percent" ? " %"
                           : one.unit().empty() || one.unit() == "fraction"
                               ? ""
                               : absl::StrCat(" ", one.unit());
  std::string text =
      absl::StrCat("its ", one.loss(), one.slice().empty() ? "" : absl::StrCat(" on ", one.slice()),
                   " went from ", FormatNumber(gate::OwnSign(is, one.before())), " to ",
                   FormatNumber(gate::OwnSign(is, one.after())), unit);
  if (one.judged()) {
    absl::StrAppend(&text, ", and ", FormatNumber(one.margin()), unit,
                    is.higher_is_better() ? " less" : " more", " was allowed");
  }
  return text;
}

std::string PlainVerdict(const View& view) {
  if (!view.report.has_verdict()) return Undecided(view, {});
  const Counts counts = Count(view);
  switch (view.report.outcome()) {
    case GateReport::REFUSED:
      return Refused(view, counts);
    case GateReport::PASSED:
      return Passed(view, counts);
    default:
      return Undecided(view, counts);
  }
}

}  // namespace backfire::page
