#include "orchestrator/gate/decision.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "orchestrator/gate/prospects.h"

namespace backfire::gate {
namespace {

using v1::GateResult;
using v1::LossComparison;

std::string Name(const LossComparison& one) {
  return absl::StrCat(one.vertex(), " ", one.loss(),
                      one.slice().empty() ? "" : absl::StrCat(" (", one.slice(), ")"));
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  if (names.size() <= kMost) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kMost, ", "), " and ",
                      names.size() - kMost, " more");
}

bool Concerns(const v1::Waiver& waiver, const LossComparison& one) {
  return waiver.vertex() == one.vertex() &&
         (waiver.loss().empty() || waiver.loss() == one.loss()) &&
         (waiver.slice().empty() || waiver.slice() == one.slice());
}

bool IsHigherBetter(const v1::GatePolicy& policy, const LossComparison& one) {
  for (const v1::GateVertex& vertex : policy.vertices()) {
    if (vertex.name() != one.vertex()) continue;
    for (const v1::GateLoss& loss : vertex.losses()) {
      if (loss.name() == one.loss()) return loss.direction() == "higher";
    }
  }
  return false;
}

// What a comparison alone comes to, without waivers.
GateResult::Status StatusOf(const LossComparison& one, const std::set<std::string>& fail_on,
                            bool first_look) {
  if (!one.judged()) return GateResult::ADVISORY;
  // A first look finds nothing significant that it may act upon.
  if (first_look) return GateResult::OPEN;
  if (one.outcome() == LossComparison::WORSE) {
    return fail_on.count("none") > 0 ? GateResult::OK : GateResult::BLOCKS;
  }
  if (one.outcome() == LossComparison::WORSE_WITHIN_MARGIN) {
    return fail_on.count("worse-within-margin") > 0 ? GateResult::BLOCKS : GateResult::OK;
  }
  if (one.outcome() == LossComparison::UNRESOLVED) {
    return fail_on.count("unresolved") > 0 ? GateResult::BLOCKS : GateResult::OPEN;
  }
  return GateResult::OK;
}

// Sets how each comparison stands, and which waivers were used.
std::set<int> SetResults(const v1::GatePolicy& policy, const std::string& today,
                         v1::GateReport& report) {
  const std::set<std::string> fail_on(policy.fail_on().begin(), policy.fail_on().end());
  std::set<int> used;
  for (const LossComparison& one : report.verdict().comparisons()) {
    GateResult& result = *report.add_results();
    result.set_vertex(one.vertex());
    result.set_loss(one.loss());
    result.set_slice(one.slice());
    result.set_higher_is_better(IsHigherBetter(policy, one));
    result.set_status(StatusOf(one, fail_on, report.verdict().first_look()));
    if (result.status() != GateResult::BLOCKS && result.status() != GateResult::OPEN) continue;
    if (one.outcome() == LossComparison::UNRESOLVED && !report.verdict().first_look()) {
      result.set_would_decide(Prospect(one, report.verdict()));
    }
    for (int i = 0; i < policy.waivers_size(); ++i) {
      const v1::Waiver& waiver = policy.waivers(i);
      if (!Concerns(waiver, one) || waiver.expires() < today) continue;
      used.insert(i);
      result.set_status(GateResult::WAIVED);
      result.set_waiver(i + 1);
      result.set_waived_because(
          absl::StrCat(waiver.reason(), " (", waiver.owner(), ", until ", waiver.expires(), ")"));
      break;
    }
  }
  return used;
}

}  // namespace

void SetUndecided(const std::string& reason, v1::GateReport& report) {
  report.set_outcome(v1::GateReport::UNDECIDED);
  report.set_exit_code(static_cast<int>(cli::ExitCode::kUndecided));
  report.set_reason(reason);
}

v1::GateReport Judge(const v1::Verdict& verdict, const v1::GatePolicy& policy,
                     const std::string& today) {
  v1::GateReport report;
  report.set_schema_version(1);
  report.set_today(today);
  *report.mutable_verdict() = verdict;
  const std::set<int> used = SetResults(policy, today, report);
  for (int i = 0; i < policy.waivers_size(); ++i) {
    if (policy.waivers(i).expires() < today) {
      *report.add_expired_waivers() = policy.waivers(i);
    } else if (used.count(i) == 0) {
      *report.add_unused_waivers() = policy.waivers(i);
    }
  }
  std::vector<std::string> blocking, open, waived;
  bool candidate_judged = false;
  for (int i = 0; i < report.results_size(); ++i) {
    const LossComparison& one = verdict.comparisons(i);
    candidate_judged = candidate_judged || (one.candidate() && one.judged());
    const GateResult::Status status = report.results(i).status();
    if (status == GateResult::BLOCKS) blocking.push_back(Name(one));
    if (status == GateResult::OPEN) open.push_back(Name(one));
    if (status == GateResult::WAIVED) waived.push_back(Name(one));
  }
  const std::string also = waived.empty() ? "" : absl::StrCat("; waived: ", Listed(waived));
  const bool nothing_fails = policy.fail_on(0) == "none";
  if (!blocking.empty()) {
    report.set_outcome(v1::GateReport::REFUSED);
    report.set_exit_code(static_cast<int>(cli::ExitCode::kRefused));
    const bool all_worse = std::all_of(policy.fail_on().begin(), policy.fail_on().end(),
                                       [](const std::string& kind) { return kind == "worse"; });
    report.set_reason(absl::StrCat(Listed(blocking), blocking.size() == 1 ? " is " : " are ",
                                   all_worse ? "worse beyond the margin" : "what fail_on names",
                                   also));
  } else if (nothing_fails) {
    report.set_outcome(v1::GateReport::PASSED);
    report.set_exit_code(static_cast<int>(cli::ExitCode::kOk));
    report.set_reason(absl::StrCat("fail_on is none, so nothing is refused; the verdict is ",
                                   v1::Verdict::Outcome_Name(verdict.outcome())));
  } else if (verdict.first_look()) {
    SetUndecided(absl::StrCat("a first look can't decide: ", verdict.replicates(),
                              verdict.replicates() == 1 ? " seed" : " seeds", also),
                 report);
  } else if (!open.empty()) {
    SetUndecided(absl::StrCat("the evidence does not resolve ", Listed(open), also), report);
  } else if (!candidate_judged) {
    SetUndecided("the candidate has no blocking loss, so nothing says whether it is an improvement",
                 report);
  } else if (!report.expired_waivers().empty()) {
    const v1::Waiver& first = report.expired_waivers(0);
    SetUndecided(
        absl::StrCat("the waiver of ", first.vertex(),
                     first.loss().empty() ? "" : absl::StrCat(" ", first.loss()), " by ",
                     first.owner(), " expired on ", first.expires(), ": remove or renew it", also),
        report);
  } else {
    report.set_outcome(v1::GateReport::PASSED);
    report.set_exit_code(static_cast<int>(cli::ExitCode::kOk));
    report.set_reason(waived.empty()
                          ? std::string("nothing that may block is worse beyond its margin")
                          : absl::StrCat("only by waivers: ", Listed(waived)));
  }
  return report;
}

std::string DayOf(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
}

}  // namespace backfire::gate
