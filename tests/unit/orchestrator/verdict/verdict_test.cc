#include "orchestrator/verdict/verdict.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/orchestrator/verdict/verdict_losses.h"

namespace backfire::verdict {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsNan;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
struct TableCase {
  std::string name;
  double candidate, descendant;  // Mean differences.
  double descendant_scale;       // Of its training noise.
  v1::Verdict::Outcome outcome;
  v1::LossComparison::Outcome candidate_outcome, descendant_outcome;
  bool harmed, definition_2_1;
};
class VerdictTableTest : public ::testing::TestWithParam<TableCase> {};

TEST_P(VerdictTableTest, Decides) {
  const TableCase& row = GetParam();
  const v1::Verdict verdict = DecideOn(
      {Candidate(Around(row.candidate)), Descendant(Around(row.descendant, row.descendant_scale))});
  EXPECT_EQ(verdict.outcome(), row.outcome) << verdict.ShortDebugString();
  EXPECT_EQ(verdict.candidate(), row.candidate_outcome);
  EXPECT_EQ(verdict.harmed(), row.harmed);
  EXPECT_EQ(verdict.definition_2_1(), row.definition_2_1);
  EXPECT_FALSE(verdict.first_look());
  EXPECT_EQ(verdict.replicates(), 5);
  EXPECT_FALSE(verdict.summary().empty());
  ASSERT_EQ(verdict.comparisons_size(), 2);
  EXPECT_TRUE(verdict.comparisons(0).candidate());
  EXPECT_EQ(verdict.comparisons(1).outcome(), row.descendant_outcome);
}

using C = v1::LossComparison;
INSTANTIATE_TEST_SUITE_P(
    Outcomes, VerdictTableTest,
    ::testing::Values(
        TableCase{"SelfDefeating", -1, 1, 1, v1::Verdict::SELF_DEFEATING, C::BETTER, C::WORSE, true,
                  true},
        TableCase{"CandidateWorseWithinItsMargin", 0.2, 1, 1, v1::Verdict::SELF_DEFEATING,
                  C::WORSE_WITHIN_MARGIN, C::WORSE, true, false},
        TableCase{"DescendantWorseWithinItsMargin", -1, 0.2, 1, v1::Verdict::SAFE, C::BETTER,
                  C::WORSE_WITHIN_MARGIN, false, true},
        TableCase{"AtTheMarginNothingIsResolved", -1, 0.5, 1, v1::Verdict::INCONCLUSIVE, C::BETTER,
                  C::UNRESOLVED, false, true},
        TableCase{"Safe", -1, -1, 1, v1::Verdict::SAFE, C::BETTER, C::BETTER, false, false},
        TableCase{"SafeWithinMargin", -1, 0, 1, v1::Verdict::SAFE, C::BETTER, C::NO_WORSE, false,
                  false},
        TableCase{"NoWorseCandidate", 0, 0, 1, v1::Verdict::SAFE, C::NO_WORSE, C::NO_WORSE, false,
                  false},
        TableCase{"NotAnImprovement", 1, 1, 1, v1::Verdict::NOT_AN_IMPROVEMENT, C::WORSE, C::WORSE,
                  true, false},
        TableCase{"Inconclusive", -1, 1, 200, v1::Verdict::INCONCLUSIVE, C::BETTER, C::UNRESOLVED,
                  false, true}),
    [](const auto& info) { return info.param.name; });

TEST(VerdictTest, HarmWithinTheMarginPassesAndIsSaid) {
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), Descendant(Around(0.2))});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
  EXPECT_FALSE(Blocks(verdict));
  EXPECT_THAT(verdict.summary(), HasSubstr("Worse, but within its margin: second mae"));
}

TEST(VerdictTest, HarmThatMayExceedTheMarginIsNotResolvedAndSaysSo) {
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), Descendant(Around(0.5))});
  EXPECT_EQ(verdict.comparisons(1).note(), "worse; whether beyond its margin is not resolved");
}

TEST(VerdictTest, ComparisonHasTheNumbersByHand) {
  const v1::Verdict verdict = DecideOn({Candidate({1, 2, 3, 4, 5}, /*example_error=*/0.5)});
  const v1::LossComparison& comparison = verdict.comparisons(0);
  EXPECT_DOUBLE_EQ(comparison.before(), 10);
  EXPECT_DOUBLE_EQ(comparison.after(), 13);
  EXPECT_DOUBLE_EQ(comparison.difference(), 3);
  EXPECT_THAT(comparison.swapped(), IsNan());
  // 2.5 / 5, and 100 * 0.25 / 99 over the resamples, times 200 / 199.
  EXPECT_DOUBLE_EQ(comparison.training_variance(), 0.5);
  EXPECT_NEAR(comparison.example_variance(), 25.0 / 99 * 200 / 199, 1e-12);
  EXPECT_EQ(comparison.interaction_variance(), 0);
  EXPECT_EQ(comparison.training_freedom(), 4);
  EXPECT_DOUBLE_EQ(comparison.example_freedom(), 1 / (1.0 / 199 + 1.0 / 99));
  EXPECT_EQ(comparison.example_count(), 200);
  EXPECT_NEAR(comparison.standard_error(), std::sqrt(0.5 + 25.0 / 99 * 200 / 199), 1e-12);
  // Between Student's t of 4 (2.1318) and of 10 (1.8125) degrees of freedom.
  const double quantile = (comparison.interval_high() - 3) / comparison.standard_error();
  EXPECT_GT(quantile, 1.8125);
  EXPECT_LT(quantile, 2.1318);
  EXPECT_EQ(comparison.differences_size(), 5);
  EXPECT_DOUBLE_EQ(comparison.margin(), 0.5);
  EXPECT_TRUE(comparison.worse_by_point());
}

TEST(VerdictTest, ClustersAreWhatItCounts) {
  LossEvidence loss = Candidate({1, 2, 3, 4, 5}, /*example_error=*/0.5);
  loss.size.clusters = ClusterCounts{20, 16, 12.5};
  const v1::LossComparison& comparison = DecideOn({loss}).comparisons(0);
  EXPECT_NEAR(comparison.example_variance(), 25.0 / 99 * 20 / 19, 1e-12);
  EXPECT_DOUBLE_EQ(comparison.example_freedom(), 1 / (1 / 11.5 + 1.0 / 99));
  EXPECT_EQ(comparison.example_count(), 200);
  EXPECT_EQ(comparison.cluster_count(), 16);
  EXPECT_DOUBLE_EQ(comparison.effective_cluster_count(), 12.5);
}

TEST(VerdictTest, OneClusterSaysNothingOfOthers) {
  LossEvidence loss = Candidate(Around(-1));
  loss.size.clusters = ClusterCounts{20, 1, 1};
  v1::Verdict verdict = DecideOn({loss});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(verdict.comparisons(0).note(), "one cluster of test examples says nothing of others");
  EXPECT_THAT(verdict.summary(), HasSubstr("however many replicates there are"));
  loss.size.clusters = ClusterCounts{20, 20, 1.9};
  verdict = DecideOn({loss});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_THAT(verdict.comparisons(0).note(), HasSubstr("outweighs all others"));
}

TEST(VerdictTest, ShowsTheMeanWithoutRetraining) {
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), Descendant(Around(1))});
  EXPECT_DOUBLE_EQ(verdict.comparisons(1).swapped(), 13);
}

TEST(VerdictTest, MarginsHaveDefaults) {
  LossEvidence pixels = Candidate(Around(0));
  pixels.margin.reset();
  LossEvidence percent = Descendant(Around(0));
  percent.margin.reset();
  percent.unit = "percent";
  const v1::Verdict verdict = DecideOn({pixels, percent});
  EXPECT_DOUBLE_EQ(verdict.comparisons(0).margin(), 0.1);  // 1 % of 10.
  EXPECT_DOUBLE_EQ(verdict.comparisons(1).margin(), 1);
}

TEST(VerdictTest, FewReplicatesAreAFirstLook) {
  for (const size_t replicates : {1, 2, 4}) {
    std::vector<double> candidate = Around(-1), descendant = Around(1);
    candidate.resize(replicates);
    descendant.resize(replicates);
    const v1::Verdict verdict = DecideOn({Candidate(candidate), Descendant(descendant)});
    EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
    EXPECT_TRUE(verdict.first_look());
    EXPECT_TRUE(verdict.definition_2_1());
    EXPECT_EQ(verdict.replicates(), static_cast<int>(replicates));
    EXPECT_THAT(verdict.summary(), AllOf(HasSubstr("First look"), HasSubstr("replicates: 5")));
  }
}

TEST(VerdictTest, OneReplicateHasTheIntervalOfItsExamplesAlone) {
  const v1::Verdict verdict = DecideOn({Candidate({-1}, /*example_error=*/0.1)});
  const v1::LossComparison& comparison = verdict.comparisons(0);
  EXPECT_THAT(comparison.standard_error(), IsNan());
  EXPECT_THAT(comparison.p_worse(), IsNan());
  EXPECT_EQ(comparison.outcome(), C::UNRESOLVED);
  // t of 66.2 degrees of freedom, one-sided: 1.6683.
  const double error = 0.1 * std::sqrt(100.0 / 99 * 200 / 199);
  EXPECT_NEAR(comparison.interval_low(), -1 - 1.6683 * error, 1e-4);
  EXPECT_NEAR(comparison.interval_high(), -1 + 1.6683 * error, 1e-4);
  EXPECT_THAT(comparison.note(), HasSubstr("test examples alone"));
}

TEST(VerdictTest, SaysWhenTrainingHasNoNoise) {
  const v1::Verdict verdict =
      DecideOn({Candidate(Around(-1)), Descendant({0.25, 0.25, 0.25, 0.25, 0.25})});
  EXPECT_EQ(verdict.comparisons(1).note(), "no training noise");
  EXPECT_EQ(verdict.comparisons(1).outcome(), C::WORSE_WITHIN_MARGIN);
}

TEST(VerdictTest, WithoutAnyNoiseADifferenceIsWhatItIs) {
  const std::vector<double> none(5, 0.0), less(5, -0.001), more(5, 0.001);
  const auto outcome = [](const std::vector<double>& differences, double margin) {
    LossEvidence loss = Candidate(differences, /*example_error=*/0);
    loss.margin = margin;
    return DecideOn({loss}).candidate();
  };
  EXPECT_EQ(outcome(less, 0.5), C::BETTER);
  EXPECT_EQ(outcome(none, 0.5), C::NO_WORSE);
  EXPECT_EQ(outcome(none, 0), C::NO_WORSE);
  EXPECT_EQ(outcome(more, 0), C::WORSE);
  EXPECT_EQ(outcome(more, 0.5), C::WORSE_WITHIN_MARGIN);
  EXPECT_EQ(outcome(more, 0.001), C::WORSE_WITHIN_MARGIN);  // 10.001 - 10 is a little more.
}

// Losses that rounding alone keeps apart are equal: to Definition 2.1, too.
TEST(VerdictTest, EqualWithinRoundingIsEqual) {
  LossEvidence loss = Descendant(std::vector<double>(5, 0.0), /*example_error=*/0);
  loss.after[3].value = std::nextafter(kBefore, 11);
  loss.margin = 0;
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), loss});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
  EXPECT_FALSE(verdict.definition_2_1());
  EXPECT_EQ(verdict.comparisons(1).outcome(), C::NO_WORSE);
}

TEST(VerdictTest, TransformsAreShownAndDecideNothing) {
  LossEvidence transform = Descendant(Around(5));
  transform.vertex = "transform";
  transform.judged = false;
  const v1::Verdict verdict =
      DecideOn({transform, Candidate(Around(-1)), Descendant(Around(-0.5))});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
  EXPECT_FALSE(verdict.harmed());
  EXPECT_FALSE(verdict.definition_2_1());
  EXPECT_EQ(verdict.comparisons(2).vertex(), "transform");
  EXPECT_FALSE(verdict.comparisons(2).judged());
}

TEST(VerdictTest, TheWorstDescendantComesFirst) {
  LossEvidence mild = Descendant(Around(0.1)), severe = Descendant(Around(2));
  mild.vertex = "mild";
  severe.vertex = "severe";
  const v1::Verdict verdict = DecideOn({mild, severe, Candidate(Around(-1))});
  EXPECT_EQ(verdict.comparisons(0).vertex(), "first");
  EXPECT_EQ(verdict.comparisons(1).vertex(), "severe");
  EXPECT_EQ(verdict.comparisons(2).vertex(), "mild");
}

TEST(VerdictTest, UndefinedLossesResolveNothing) {
  LossEvidence undefined = Descendant(Around(0));
  undefined.after[2].value = kNan;
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), undefined});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(verdict.comparisons(1).note(), "undefined on this test split after the update");
  EXPECT_THAT(verdict.comparisons(1).interval_low(), IsNan());
}

TEST(VerdictTest, InfiniteLossesResolveNothingAndSaySo) {
  LossEvidence diverged = Descendant(Around(0));
  for (LossSample& sample : diverged.after) sample.value = std::numeric_limits<double>::infinity();
  v1::Verdict verdict = DecideOn({Candidate(Around(-1)), diverged});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(verdict.comparisons(1).note(), "infinite after the update");
  EXPECT_TRUE(verdict.definition_2_1());  // As numbers, it is worse.
  diverged.before = diverged.after;       // The difference of the two is no number.
  verdict = DecideOn({Candidate(Around(-1)), diverged});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(verdict.comparisons(1).note(), "infinite before the update; infinite after the update");
}

TEST(VerdictTest, OneTestExampleDecidesNothing) {
  Evidence evidence;
  evidence.losses = {Candidate(Around(-1), 0), Descendant(Around(1), 0)};
  for (LossEvidence& loss : evidence.losses) loss.size.bearing = 1;
  const v1::Verdict verdict = Decide(evidence);
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_THAT(verdict.comparisons(1).note(), HasSubstr("one test example"));
}

TEST(VerdictTest, LossesThatNeverMovedAreSafeAndSaySo) {
  const std::vector<double> none(5, 0.0);
  LossEvidence saturated = Descendant(none, /*example_error=*/0);
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), saturated});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
  EXPECT_THAT(verdict.comparisons(1).note(), HasSubstr("identical before and after"));
}

TEST(VerdictTest, ADefaultMarginOfZeroSaysSo) {
  LossEvidence perfect = Descendant(Around(0));
  perfect.margin.reset();
  for (LossSample& sample : perfect.before) sample.value = 0;
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), perfect});
  EXPECT_THAT(verdict.comparisons(1).note(), HasSubstr("its margin is 1 % of 0"));
}

TEST(VerdictTest, ARequiredSliceIsJudgedLikeALoss) {
  LossEvidence near = Descendant(Around(1));
  near.slice = "depth_0_20_m";
  const v1::Verdict verdict = DecideOn({Candidate(Around(-1)), Descendant(Around(-1)), near});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SELF_DEFEATING);
  EXPECT_EQ(verdict.comparisons(1).slice(), "depth_0_20_m");
  EXPECT_THAT(verdict.summary(), HasSubstr("second mae (depth_0_20_m)"));
}

TEST(VerdictTest, WithoutResamplesNothingIsDecided) {
  LossEvidence candidate = Candidate(Around(-1)), descendant = Descendant(Around(1));
  for (LossEvidence* loss : {&candidate, &descendant}) {
    for (LossSample& sample : loss->before) sample.resampled.clear();
    for (LossSample& sample : loss->after) sample.resampled.clear();
  }
  const v1::Verdict verdict = DecideOn({candidate, descendant});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_FALSE(verdict.harmed());
  EXPECT_THAT(verdict.comparisons(1).note(), HasSubstr("no resamples"));
}

TEST(VerdictTest, ACandidateWithoutJudgedLossIsNoImprovement) {
  LossEvidence candidate = Candidate(Around(-1));
  candidate.judged = false;
  const v1::Verdict verdict = DecideOn({candidate, Descendant(Around(1))});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_TRUE(verdict.harmed());
  EXPECT_THAT(verdict.summary(), AllOf(HasSubstr("no judged loss"), HasSubstr("second mae")));
}

TEST(VerdictTest, AVertexThatNothingDependsOnIsSafeIfBetter) {
  EXPECT_EQ(DecideOn({Candidate(Around(-1))}).outcome(), v1::Verdict::SAFE);
}

TEST(VerdictTest, SwappingBeforeAndAfterNegates) {
  LossEvidence loss = Candidate({0.3, -0.1, 0.4, 0.2, 0.0}, 0.2);
  LossEvidence swapped = loss;
  std::swap(swapped.before, swapped.after);
  const v1::Verdict one = DecideOn({loss}), other = DecideOn({swapped});
  const v1::LossComparison &a = one.comparisons(0), &b = other.comparisons(0);
  EXPECT_DOUBLE_EQ(a.difference(), -b.difference());
  EXPECT_DOUBLE_EQ(a.standard_error(), b.standard_error());
  EXPECT_NEAR(a.interval_low(), -b.interval_high(), 1e-12);
  EXPECT_NEAR(a.p_worse(), 1 - b.p_worse(), 1e-12);
}

TEST(VerdictTest, UnitsDoNotMatter) {
  for (const double scale : {1e-3, 1e6}) {
    LossEvidence loss = Candidate({0.3, -0.1, 0.4, 0.2, 0.0}, 0.2);
    LossEvidence scaled = loss;
    *scaled.margin *= scale;
    for (auto* samples : {&scaled.before, &scaled.after}) {
      for (LossSample& sample : *samples) {
        sample.value *= scale;
        for (double& value : sample.resampled) value *= scale;
      }
    }
    const v1::Verdict one = DecideOn({loss}), other = DecideOn({scaled});
    EXPECT_NEAR(one.comparisons(0).p_worse(), other.comparisons(0).p_worse(), 1e-9);
    EXPECT_NEAR(one.comparisons(0).interval_high() * scale, other.comparisons(0).interval_high(),
                1e-9 * scale);
    EXPECT_EQ(one.comparisons(0).outcome(), other.comparisons(0).outcome());
  }
}

TEST(VerdictTest, ReplicatesHaveNoOrder) {
  const v1::Verdict one = DecideOn({Candidate({0.5, 0.25, 0.125, 0.75, 1})});
  const v1::Verdict other = DecideOn({Candidate({1, 0.5, 0.75, 0.125, 0.25})});
  EXPECT_NEAR(one.comparisons(0).p_worse(), other.comparisons(0).p_worse(), 1e-12);
  EXPECT_NEAR(one.comparisons(0).standard_error(), other.comparisons(0).standard_error(), 1e-12);
}

TEST(VerdictTest, IsAPureFunction) {
  const std::vector<LossEvidence> losses = {Candidate(Around(-1)), Descendant(Around(1))};
  EXPECT_EQ(DecideOn(losses).SerializeAsString(), DecideOn(losses).SerializeAsString());
}

TEST(VerdictTest, SaysWhoseWordItRestsOnAndDecidesTheSame) {
  Evidence evidence;
  evidence.losses = {Candidate(Around(-1)), Descendant(Around(0))};
  const v1::Verdict plain = Decide(evidence);
  evidence.unverified_vertices = {"d", "e"};
  for (const char digest : {'1', '2'}) {
    v1::OutputsCommitment& commitment = evidence.commitments.emplace_back();
    commitment.set_version("models/c/versions/3");
    commitment.set_split("test");
    commitment.set_outputs_digest(std::string(64, digest));
  }
  v1::Verdict verdict = Decide(evidence);
  EXPECT_THAT(verdict.summary(),
              AllOf(HasSubstr("Not verified: what passes between d, e and their neighbours"),
                    HasSubstr("other outputs of models/c/versions/3")));
  verdict.set_summary(plain.summary());
  EXPECT_EQ(verdict.SerializeAsString(), plain.SerializeAsString());
}

}  // namespace
}  // namespace backfire::verdict
