#include "orchestrator/gate/result_words.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/numbers.h"

namespace backfire::gate {

using report::FormatNumber;
using report::FormatSigned;
using v1::GateResult;
using v1::LossComparison;

std::string GateHeadline(const v1::GateReport& report) {
  std::string headline = v1::GateReport::Outcome_Name(report.outcome());
  if (report.has_verdict()) {
    absl::StrAppend(&headline, " (", v1::Verdict::Outcome_Name(report.verdict().outcome()), ")");
  }
  return absl::StrCat(headline, ": ", report.reason());
}

double OwnSign(const GateResult& result, double value) {
  return result.higher_is_better() ? 0.0 - value : value;
}

std::string BoundsOf(const LossComparison& one) {
  if (std::isnan(one.interval_low()) || std::isnan(one.interval_high())) return "-";
  return absl::StrCat("[", FormatSigned(one.interval_low()), ", ",
                      FormatSigned(one.interval_high()), "]");
}

int Rank(GateResult::Status status) {
  switch (status) {
    case GateResult::BLOCKS:
      return 0;
    case GateResult::OPEN:
      return 1;
    case GateResult::WAIVED:
      return 2;
    case GateResult::ADVISORY:
      return 4;
    default:
      return 3;
  }
}

std::vector<int> WorstFirst(const v1::GateReport& report) {
  std::vector<int> order(static_cast<size_t>(report.results_size()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return Rank(report.results(a).status()) < Rank(report.results(b).status());
  });
  return order;
}

std::string ResultTitle(const GateResult& result) {
  return absl::StrCat(result.vertex(), " ", result.loss(),
                      result.slice().empty() ? "" : absl::StrCat(" [", result.slice(), "]"));
}

std::string StatusWord(const GateResult& result, const LossComparison& one) {
  std::string word;
  switch (one.outcome()) {
    case LossComparison::BETTER:
      word = "better";
      break;
    case LossComparison::NO_WORSE:
      word = "no worse";
      break;
    case LossComparison::WORSE:
      word = "WORSE";
      break;
    case LossComparison::WORSE_WITHIN_MARGIN:
      word = "worse within margin";
      break;
    default:
      word = "can't decide";
  }
  if (result.status() == GateResult::WAIVED) return absl::StrCat(word, ", waived");
  if (result.status() == GateResult::ADVISORY) return absl::StrCat(word, ", advisory");
  return word;
}

std::string NumbersOf(const GateResult& result, const LossComparison& one) {
  std::string text = absl::StrCat(FormatNumber(OwnSign(result, one.before())), " -> ",
                                  FormatNumber(OwnSign(result, one.after())),
                                  one.unit().empty() ? "" : " ", one.unit());
  absl::StrAppend(&text, one.difference() < 0 ? ", better by " : ", worse by ",
                  FormatNumber(std::abs(one.difference())), ", bounds ", BoundsOf(one));
  if (one.judged()) absl::StrAppend(&text, ", margin ", FormatNumber(one.margin()));
  return text;
}

std::string SelfTestLine(const v1::GateSelfTest& test) {
  std::string line = absl::StrFormat(
      "Self-test on these records: of %d simulated changes by just the margins, which is allowed, "
      "%.1f %% are refused (+- %.1f %%; alpha %.3g %%); of %d that change nothing, %.1f %% pass",
      test.updates(), 100 * test.false_alarms(), 200 * test.false_alarms_error(),
      100 * test.alpha(), test.updates(), 100 * test.passes());
  if (!test.complaints().empty()) {
    absl::StrAppend(&line, "; it complains: ", test.complaints(0));
    if (test.complaints_size() > 1) {
      const int more = test.complaints_size() - 1;
      absl::StrAppend(&line, "; --self-test shows ", more, " more complaint", more == 1 ? "" : "s");
    }
  }
  return line + ".";
}

}  // namespace backfire::gate
