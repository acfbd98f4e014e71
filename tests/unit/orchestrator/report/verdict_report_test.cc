#include "orchestrator/report/verdict_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "orchestrator/report/json_report.h"

namespace backfire::report {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::LossComparison;
using v1::Verdict;

LossComparison& AddComparison(Verdict& verdict, const std::string& vertex, const std::string& loss,
                              const std::string& unit, double before, double swapped,
                              double after) {
  LossComparison& comparison = *verdict.add_comparisons();
  comparison.set_vertex(vertex);
  comparison.set_loss(loss);
  comparison.set_unit(unit);
  comparison.set_before(before);
  comparison.set_swapped(swapped);
  comparison.set_after(after);
  comparison.set_difference(after - before);
  comparison.set_judged(true);
  comparison.set_outcome(LossComparison::UNRESOLVED);
  return comparison;
}

Verdict SelfDefeating() {
  Verdict verdict;
  verdict.set_outcome(Verdict::SELF_DEFEATING);
  verdict.set_harmed(true);
  verdict.set_definition_2_1(true);
  verdict.set_replicates(5);
  verdict.set_alpha(0.05);
  verdict.set_candidates_judged(2);
  verdict.set_summary("car is worse.");
  LossComparison& disparity =
      AddComparison(verdict, "disparity", "disparity_mae", "px", 1.5, std::nan(""), 1.25);
  disparity.set_candidate(true);
  disparity.set_outcome(LossComparison::BETTER);
  disparity.set_standard_error(0.02);
  disparity.set_interval_low(-0.3);
  disparity.set_interval_high(-0.2);
  disparity.set_margin(0.015);
  LossComparison& car = AddComparison(verdict, "car", "ap_3d", "percent", -60, -50, -55);
  car.set_outcome(LossComparison::WORSE);
  car.set_standard_error(1);
  car.set_interval_low(3);
  car.set_interval_high(7);
  car.set_margin(1);
  LossComparison& points = AddComparison(verdict, "pointcloud", "depth", "m", 2, 2, 2);
  points.set_judged(false);
  points.set_interval_low(std::nan(""));
  points.set_interval_high(std::nan(""));
  return verdict;
}

TEST(VerdictTableTest, HasARowPerVertexAndLoss) {
  EXPECT_EQ(
      VerdictTable(SelfDefeating()),
      R"(  vertex       loss                before  swapped   after  difference            interval   margin  numbers  evidence
  disparity *  disparity_mae (px)   1.500        -   1.250     -0.2500  [-0.3000, -0.2000]  0.01500  better   BETTER
  car          ap_3d (percent)     -60.00   -50.00  -55.00      +5.000    [+3.000, +7.000]    1.000  worse    WORSE
  pointcloud   depth (m)            2.000    2.000   2.000           0                   -        -  equal    not judged
)");
}

TEST(VerdictTableTest, SaysEachNoteOnce) {
  Verdict verdict = SelfDefeating();
  for (LossComparison& comparison : *verdict.mutable_comparisons()) {
    comparison.set_note("no training noise");
  }
  verdict.mutable_comparisons(1)->set_note("another");
  const std::string table = VerdictTable(verdict);
  EXPECT_THAT(table, HasSubstr("BETTER      [1]\n"));
  EXPECT_THAT(table, HasSubstr("WORSE       [2]\n"));
  EXPECT_THAT(table, HasSubstr("not judged  [1]\n  [1] no training noise\n  [2] another\n"));
}

TEST(VerdictTextTest, SaysWhatWasFoundAndOnWhatGround) {
  const std::string text = VerdictText(SelfDefeating());
  EXPECT_THAT(text, HasSubstr("Verdict: SELF_DEFEATING: the candidate is no worse by itself, and "
                              "makes a descendant worse\n"));
  EXPECT_THAT(text, HasSubstr("car is worse.\n"));
  EXPECT_THAT(text, HasSubstr("Definition 2.1 on the numbers alone: self-defeating."));
  EXPECT_THAT(text, HasSubstr("Replicates: 5. "));
  EXPECT_THAT(text, HasSubstr("judged so far: 2."));
}

TEST(VerdictTextTest, SaysHowManyClustersCarriedIt) {
  Verdict verdict = SelfDefeating();
  EXPECT_THAT(VerdictText(verdict), Not(HasSubstr("Test examples")));  // Of an earlier rule.
  for (const int i : {0, 1}) verdict.mutable_comparisons(i)->set_example_count(320 - 100 * i);
  EXPECT_THAT(VerdictText(verdict), HasSubstr("Test examples: 220 to 320, each counted as "
                                              "independent, as the dataset names no clusters"));
  for (const int i : {0, 1}) {
    verdict.mutable_comparisons(i)->set_cluster_count(320 - 100 * i);
    verdict.mutable_comparisons(i)->set_effective_cluster_count(320 - 100 * i);
  }
  EXPECT_THAT(VerdictText(verdict),
              HasSubstr("Test examples: 220 to 320, each a cluster by itself.\n"));
  for (const int i : {0, 1}) {
    verdict.mutable_comparisons(i)->set_cluster_count(16);
    verdict.mutable_comparisons(i)->set_effective_cluster_count(16);
  }
  EXPECT_THAT(VerdictText(verdict), HasSubstr("Test examples: 220 to 320, in 16 clusters.\n"));
  verdict.mutable_comparisons(1)->set_effective_cluster_count(9.75);
  EXPECT_THAT(VerdictText(verdict),
              HasSubstr("in 16 clusters, which say as much as 9.8 to 16.0 of one size.\n"));
}

TEST(VerdictTextTest, AFirstLookDecidesNothing) {
  Verdict verdict = SelfDefeating();
  verdict.set_outcome(Verdict::INCONCLUSIVE);
  verdict.set_harmed(false);
  verdict.set_first_look(true);
  verdict.set_replicates(1);
  const std::string text = VerdictText(verdict);
  EXPECT_THAT(text, HasSubstr("INCONCLUSIVE: a first look can't decide\n"));
  EXPECT_THAT(text, HasSubstr("Replicates: 1 (a first look)."));
  EXPECT_THAT(text, Not(HasSubstr("Differences by replicate")));
}

TEST(VerdictTextTest, ShowsTheDifferenceOfEachReplicate) {
  Verdict verdict = SelfDefeating();
  for (const double difference : {4.0, 5.5, 6.0}) {
    verdict.mutable_comparisons(1)->add_differences(difference);
  }
  const std::string text = VerdictText(verdict);
  EXPECT_THAT(text, HasSubstr("  vertex      loss                    #0      #1      #2\n"));
  EXPECT_THAT(text, HasSubstr("  car         ap_3d (percent)     +4.000  +5.500  +6.000\n"));
}

TEST(VerdictTextTest, SaysWhatIsSpentOnPlannedLooksAndWhichSliceIsMeant) {
  Verdict verdict = SelfDefeating();
  EXPECT_THAT(VerdictText(verdict), Not(HasSubstr("Look ")));
  verdict.set_look(1);
  verdict.set_planned_looks(2);
  verdict.set_look_alpha(0.025);
  verdict.mutable_comparisons(1)->set_slice("depth_0_20_m");
  const std::string text = VerdictText(verdict);
  EXPECT_THAT(
      text, HasSubstr("Look 1 of 2 that were planned; this one may test at up to 0.02500, and all "
                      "of them spend alpha 0.05"));
  EXPECT_THAT(text, HasSubstr("interval: two-sided, of confidence 97.5 %.\n"));
  EXPECT_THAT(text, HasSubstr("ap_3d [depth_0_20_m] (percent)"));
}

TEST(VerdictTextTest, SaysWhatTheIntervalsAre) {
  Verdict verdict = SelfDefeating();
  EXPECT_THAT(VerdictText(verdict), HasSubstr("interval: two-sided, of confidence 95 %.\n"));
  verdict.set_family(3);
  for (LossComparison& comparison : *verdict.mutable_comparisons()) comparison.set_level(0.02);
  EXPECT_THAT(VerdictText(verdict),
              AllOf(HasSubstr("Right, of confidence 95 %: below the margin"),
                    HasSubstr("after Holm's correction over 3 judged losses")));
}

TEST(VerdictHeadlineTest, ListsHarmOfACandidateThatIsNoImprovement) {
  Verdict verdict;
  verdict.set_outcome(Verdict::NOT_AN_IMPROVEMENT);
  verdict.set_harmed(true);
  EXPECT_EQ(VerdictHeadline(verdict),
            "NOT_AN_IMPROVEMENT: the candidate is worse by itself; a descendant is worse");
}

TEST(ToJsonTest, KeepsFieldNamesAndNumbersThatAreNone) {
  const auto json = ToJson(SelfDefeating());
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_THAT(*json, HasSubstr("\"outcome\": \"SELF_DEFEATING\""));
  EXPECT_THAT(*json, HasSubstr("\"definition_2_1\": true"));
  EXPECT_THAT(*json, HasSubstr("\"swapped\": \"NaN\""));
  EXPECT_THAT(*json, HasSubstr("\"first_look\": false"));
}

}  // namespace
}  // namespace backfire::report
