#include <gmock/gmock.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/annotations.h"
#include "orchestrator/gate/decision.h"
#include "orchestrator/gate/gate_outputs.h"
#include "orchestrator/gate/gate_text.h"
#include "orchestrator/gate/junit.h"
#include "orchestrator/gate/markdown.h"
#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using v1::LossComparison;

LossComparison& Add(const std::string& vertex, const std::string& loss,
                    LossComparison::Outcome outcome, bool judged, v1::Verdict& verdict) {
  LossComparison& one = *verdict.add_comparisons();
  one.set_vertex(vertex);
  one.set_loss(loss);
  one.set_outcome(outcome);
  one.set_judged(judged);
  one.set_before(12.25);
  one.set_after(13.5);
  one.set_swapped(std::nan(""));
  one.set_difference(1.25);
  one.set_interval_low(0.5);
  one.set_interval_high(2);
  one.set_margin(0.25);
  one.set_unit("percent");
  return one;
}

// Four losses: one blocks, one is waived, one is fine, one is advisory.
v1::GateReport Report(int more = 0) {
  v1::Verdict verdict;
  verdict.set_outcome(v1::Verdict::SELF_DEFEATING);
  verdict.set_harmed(true);
  verdict.set_replicates(5);
  verdict.set_alpha(0.05);
  verdict.set_summary("Self-defeating <improvement>.");
  Add("encoder", "mse", LossComparison::BETTER, true, verdict).set_candidate(true);
  Add("reader", "wer", LossComparison::WORSE, true, verdict)
      .set_note("50 % of \"resamples\" & more");
  LossComparison& accuracy = Add("reader", "accuracy", LossComparison::WORSE, false, verdict);
  accuracy.set_before(-90);
  accuracy.set_after(-88.75);
  Add("other", "error", LossComparison::WORSE, true, verdict);
  for (int i = 0; i < more; ++i) {
    Add(absl::StrCat("a-descendant-with-a-rather-long-name-", i), "error_of_the_descendant",
        i % 2 == 0 ? LossComparison::WORSE : LossComparison::NO_WORSE, true, verdict);
  }
  v1::GateReport report =
      Judge(verdict,
            PolicyOf(std::string(kPolicy) + "waivers:\n- {vertex: other, owner: '@ann', reason: "
                                            "'a <known> | bug', expires: 2026-12-31}\n"),
            "2026-06-15");
  for (const int64_t seed : {0, 1, 2, 3, 4}) report.add_seeds(seed);
  return report;
}

TEST(GateTextTest, TheFirstLineSaysAllAndTheWorstComesFirst) {
  const std::string text = GateText(Report());
  EXPECT_THAT(text, StartsWith("REFUSED (SELF_DEFEATING): reader wer is worse beyond the margin; "
                               "waived: other error\n"));
  EXPECT_LT(text.find("reader     wer"), text.find("other      error"));
  EXPECT_LT(text.find("other      error"), text.find("encoder *  mse"));
  EXPECT_LT(text.find("encoder *  mse"), text.find("reader     accuracy"));
  // Where higher is better, numbers are as their owner has them; worse is worse.
  EXPECT_THAT(text, HasSubstr("90.00        -  88.75    +1.250"));
  EXPECT_THAT(text, HasSubstr("waived: a <known> | bug (@ann, until 2026-12-31)"));
  EXPECT_THAT(text, HasSubstr("Seeds: 0, 1, 2, 3, 4."));
}

TEST(JunitTest, HasACasePerLossWithNumbers) {
  const std::string xml = JunitXml(Report());
  EXPECT_THAT(
      xml, StartsWith("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"REFUSED "));
  EXPECT_THAT(xml,
              HasSubstr("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"2\" time=\"0\">\n"));
  EXPECT_THAT(
      xml,
      HasSubstr("<testcase classname=\"backfire.reader\" name=\"wer\" time=\"0\">\n"
                "      <failure type=\"worse\" message=\"WORSE: 12.25 -&gt; 13.50 percent, worse "
                "by 1.250, bounds [+0.5000, +2.000], margin 0.2500\">"));
  EXPECT_THAT(xml, HasSubstr("50 % of &quot;resamples&quot; &amp; more</failure>"));
  EXPECT_THAT(
      xml,
      HasSubstr("<skipped message=\"waived: a &lt;known&gt; | bug (@ann, until 2026-12-31); WORSE, "
                "waived: "));
  EXPECT_THAT(xml, Not(HasSubstr("<known>")));
}

TEST(MarkdownTest, IsMarkedEscapedAndTheSameEachTime) {
  const std::string text = Markdown(Report());
  EXPECT_THAT(text, StartsWith(std::string(kMarkdownMarker) + "\n### ❌ backfire gate: REFUSED"));
  EXPECT_THAT(text, HasSubstr("| reader | wer (percent) | 12.25 | 13.50 | +1.250 | +0.5000 ... "
                              "+2.000 | 0.2500 | WORSE |"));
  // A reason can't open markup, break the table, or call a person.
  EXPECT_THAT(text, HasSubstr("a &lt;known&gt; \\| bug (@&#8203;ann"));
  EXPECT_THAT(text, HasSubstr("<details><summary>2 losses without a finding</summary>"));
  EXPECT_EQ(text, Markdown(Report()));
}

TEST(MarkdownTest, FitsACommentAtManyDescendants) {
  for (const int descendants : {200, 2000}) {
    const std::string text = Markdown(Report(descendants));
    EXPECT_LT(text.size(), 60000U);
    EXPECT_THAT(text, HasSubstr("a-descendant-with-a-rather-long-name-0"));
  }
  EXPECT_THAT(Markdown(Report(2000)), HasSubstr("more rows: see the JSON report."));
  EXPECT_THAT(Markdown(Report(200)), Not(HasSubstr("more rows")));
}

TEST(AnnotationsTest, AreGithubsCommands) {
  const std::string text = Annotations(Report());
  EXPECT_THAT(text,
              StartsWith("::error title=reader wer%3A WORSE::12.25 -> 13.50 percent, worse by "));
  EXPECT_THAT(text, HasSubstr("\n::warning title=other error%3A WORSE%2C waived::"));
  const std::string many = Annotations(Report(100));
  size_t errors = 0;
  for (size_t at = 0; (at = many.find("::error ", at)) != std::string::npos; ++at) ++errors;
  EXPECT_EQ(errors, 10U);
  EXPECT_THAT(many, HasSubstr("%0Aand 41 more: see the report"));
}

TEST(WriteOutputsTest, WritesFilesAndSaysWhatItCannot) {
  const TemporaryDirectory directory;
  GateOutputs outputs;
  outputs.json = (directory / "r.json").string();
  outputs.junit = (directory / "deep/r.xml").string();
  std::ostringstream out, err;
  ASSERT_TRUE(WriteOutputs(Report(), outputs, out, err).ok());
  EXPECT_THAT(out.str(), StartsWith("REFUSED"));
  EXPECT_TRUE(std::filesystem::exists(outputs.json));
  EXPECT_TRUE(std::filesystem::exists(outputs.junit));
  outputs.format = "json";
  outputs.annotate = true;
  out.str("");
  ASSERT_TRUE(WriteOutputs(Report(), outputs, out, err).ok());
  EXPECT_THAT(out.str(), HasSubstr("\"schema_version\": 1"));
  EXPECT_THAT(err.str(), HasSubstr("::error "));
  out.setstate(std::ios::badbit);
  EXPECT_FALSE(WriteOutputs(Report(), outputs, out, err).ok());
}

}  // namespace
}  // namespace backfire::gate
