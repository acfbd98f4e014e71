#include "orchestrator/gate/junit.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/result_words.h"
#include "services/markup/markup.h"

namespace backfire::gate {
namespace {

using markup::Escaped;

struct Suite {
  std::string cases;
  int tests = 0, failures = 0, skipped = 0;
};

// Adds a test case whose element says how it ended; empty: it passed.
void AddCase(const std::string& vertex, const std::string& name, const std::string& element,
             Suite& suite) {
  absl::StrAppend(&suite.cases, "    <testcase classname=\"backfire.", Escaped(vertex),
                  "\" name=\"", Escaped(name), "\" time=\"0\"",
                  element.empty() ? "/>\n" : ">\n      ");
  if (!element.empty()) absl::StrAppend(&suite.cases, element, "\n    </testcase>\n");
  ++suite.tests;
}

}  // namespace

std::string JunitXml(const v1::GateReport& report) {
  std::vector<std::string> order;
  std::map<std::string, Suite> suites;
  const auto suite_of = [&](const std::string& name) -> Suite& {
    const auto [at, is_new] = suites.try_emplace(name);
    if (is_new) order.push_back(name);
    return at->second;
  };
  for (int i = 0; i < report.results_size(); ++i) {
    const v1::GateResult& result = report.results(i);
    const v1::LossComparison& one = report.verdict().comparisons(i);
    Suite& suite = suite_of(result.vertex());
    const std::string numbers = Escaped(NumbersOf(result, one));
    const std::string word = Escaped(StatusWord(result, one));
    std::string element;
    switch (result.status()) {
      case v1::GateResult::BLOCKS:
        ++suite.failures;
        element =
            absl::StrCat("<failure type=\"worse\" message=\"", word, ": ", numbers, "\">", numbers,
                         one.note().empty() ? "" : "&#10;", Escaped(one.note()), "</failure>");
        break;
      case v1::GateResult::OPEN:
        ++suite.failures;
        element = absl::StrCat("<failure type=\"undecided\" message=\"", word, ": ", numbers, "\">",
                               numbers, "&#10;", Escaped(result.would_decide()), "</failure>");
        break;
      case v1::GateResult::WAIVED:
        ++suite.skipped;
        element = absl::StrCat("<skipped message=\"waived: ", Escaped(result.waived_because()),
                               "; ", word, ": ", numbers, "\"/>");
        break;
      case v1::GateResult::ADVISORY:
        ++suite.skipped;
        element = absl::StrCat("<skipped message=\"", word, ": ", numbers, "\"/>");
        break;
      default:
        element = absl::StrCat("<system-out>", word, ": ", numbers, "</system-out>");
    }
    AddCase(result.vertex(),
            absl::StrCat(result.loss(),
                         result.slice().empty() ? "" : absl::StrCat(" [", result.slice(), "]")),
            element, suite);
  }
  for (const v1::Waiver& waiver : report.expired_waivers()) {
    Suite& suite = suite_of("waivers");
    ++suite.failures;
    AddCase(
        "waivers", absl::StrCat(waiver.vertex(), " ", waiver.loss(), " ", waiver.slice()),
        absl::StrCat("<failure type=\"expired\" message=\"expired on ", Escaped(waiver.expires()),
                     "\">", Escaped(waiver.owner()), ": ", Escaped(waiver.reason()), "</failure>"),
        suite);
  }
  // A report without a verdict, of a first run, say: the job must not look as if all were well.
  if (!report.has_verdict()) {
    Suite& suite = suite_of("gate");
    const bool passed = report.outcome() == v1::GateReport::PASSED;
    const std::string reason = Escaped(report.reason());
    suite.failures += passed ? 0 : 1;
    AddCase("gate", "verdict",
            passed ? absl::StrCat("<system-out>", reason, "</system-out>")
                   : absl::StrCat("<failure type=\"undecided\" message=\"", reason, "\"/>"),
            suite);
  }
  int tests = 0, failures = 0, skipped = 0;
  std::string body;
  for (const std::string& name : order) {
    const Suite& suite = suites[name];
    tests += suite.tests;
    failures += suite.failures;
    skipped += suite.skipped;
    absl::StrAppend(&body, "  <testsuite name=\"", Escaped(name), "\" tests=\"", suite.tests,
                    "\" failures=\"", suite.failures, "\" errors=\"0\" skipped=\"", suite.skipped,
                    "\" time=\"0\">\n", suite.cases, "  </testsuite>\n");
  }
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"",
                      Escaped(GateHeadline(report)), "\" tests=\"", tests, "\" failures=\"",
                      failures, "\" errors=\"0\" skipped=\"", skipped, "\" time=\"0\">\n", body,
                      "</testsuites>\n");
}

}  // namespace backfire::gate
