#include "orchestrator/verdict/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace backfire::verdict {
namespace {

using ::testing::HasSubstr;
using Outcome = v1::LossComparison;

// A loss of `replicates` runs, that was 10 and grew by `growth`, give or take `noise`.
LossEvidence Loss(const std::string& vertex, double growth, bool candidate, int replicates = 5,
                  double noise = 0.01) {
  LossEvidence loss;
  loss.vertex = vertex;
  loss.loss = "loss";
  loss.unit = "px";
  loss.candidate = candidate;
  loss.margin = 0.1;
  for (int k = 0; k < replicates; ++k) {
    const double wobble = noise * (k % 2 == 0 ? 1 : -1);
    loss.before.push_back({10, {10 - noise, 10, 10 + noise}});
    loss.after.push_back({10 + growth + wobble, {10 + growth, 10 + growth, 10 + growth}});
    if (!candidate) loss.swapped.push_back(10 + 2 * growth);
  }
  return loss;
}

Evidence Of(const std::vector<LossEvidence>& losses) {
  Evidence evidence;
  evidence.examples = 100;
  evidence.losses = losses;
  return evidence;
}

TEST(VerdictTest, ABetterModelThatHarmsAnotherIsSelfDefeating) {
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true), Loss("w", 1, false)}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SELF_DEFEATING);
  EXPECT_EQ(verdict.candidate(), Outcome::BETTER);
  EXPECT_TRUE(verdict.harmed());
  EXPECT_TRUE(verdict.definition_2_1());
  EXPECT_THAT(verdict.summary(), HasSubstr("w loss is worse"));
  EXPECT_EQ(verdict.comparisons(1).outcome(), Outcome::WORSE);
  EXPECT_DOUBLE_EQ(verdict.comparisons(1).swapped(), 12);
}

TEST(VerdictTest, ABetterModelThatHarmsNobodyIsSafe) {
  EXPECT_EQ(Decide(Of({Loss("u", -1, true), Loss("w", -1, false)})).outcome(), v1::Verdict::SAFE);
  // A little worse, and surely less than the margin: not significant here.
  EXPECT_EQ(Decide(Of({Loss("u", -1, true), Loss("w", 0, false)})).outcome(), v1::Verdict::SAFE);
  EXPECT_EQ(Decide(Of({Loss("u", -1, true)})).outcome(), v1::Verdict::SAFE);
}

TEST(VerdictTest, AWorseModelIsNoImprovementWhateverFollows) {
  const v1::Verdict verdict = Decide(Of({Loss("u", 1, true), Loss("w", 1, false)}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::NOT_AN_IMPROVEMENT);
  EXPECT_TRUE(verdict.harmed());
  EXPECT_FALSE(verdict.definition_2_1());
}

TEST(VerdictTest, NoiseResolvesNothing) {
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true), Loss("w", 0.05, false, 5, 2)}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(verdict.comparisons(1).outcome(), Outcome::UNRESOLVED);
}

TEST(VerdictTest, HarmWithinTheMarginIsStillHarmAndSaysSo) {
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true), Loss("w", 0.05, false, 5, 0.001)}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SELF_DEFEATING);
  EXPECT_THAT(verdict.comparisons(1).note(), HasSubstr("within margin"));
}

TEST(VerdictTest, FewReplicatesAreAFirstLook) {
  for (const int replicates : {1, 4}) {
    const v1::Verdict verdict =
        Decide(Of({Loss("u", -1, true, replicates), Loss("w", 1, false, replicates)}));
    EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
    EXPECT_TRUE(verdict.first_look());
    EXPECT_TRUE(verdict.definition_2_1());
    EXPECT_THAT(verdict.summary(), HasSubstr("5 replicates"));
  }
  const v1::Verdict one = Decide(Of({Loss("u", -1, true, 1), Loss("w", 1, false, 1)}));
  EXPECT_TRUE(std::isnan(one.comparisons(0).standard_error()));
  EXPECT_TRUE(std::isnan(one.comparisons(0).swapped()));
  EXPECT_THAT(one.comparisons(1).note(), HasSubstr("test examples alone"));
}

TEST(VerdictTest, TransformsAreShownAndDecideNothing) {
  LossEvidence transform = Loss("t", 5, false);
  transform.judged = false;
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true), transform, Loss("w", -1, false)}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
  EXPECT_EQ(verdict.comparisons_size(), 3);
  EXPECT_EQ(verdict.comparisons(2).vertex(), "t");
}

TEST(VerdictTest, ManyLossesNeedMoreEvidence) {
  // p of some 0.03 alone: worse. In a family of ten with nine that show nothing: not.
  const auto borderline = Loss("w", 2, false, 5, 0.95);
  ASSERT_LT(Decide(Of({Loss("u", -1, true), borderline})).comparisons(1).p_worse(), 0.05);
  EXPECT_TRUE(Decide(Of({Loss("u", -1, true), borderline})).harmed());
  std::vector<LossEvidence> family = {Loss("u", -1, true), borderline};
  for (int i = 0; i < 9; ++i) family.push_back(Loss("v" + std::to_string(i), 0, false, 5, 1));
  EXPECT_FALSE(Decide(Of(family)).harmed());
}

TEST(VerdictTest, NoTrainingNoiseIsReported) {
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true, 5, 0)}));
  EXPECT_EQ(verdict.comparisons(0).note(), "no training noise");
  EXPECT_EQ(verdict.outcome(), v1::Verdict::SAFE);
}

TEST(VerdictTest, DefaultMarginsDependOnTheUnit) {
  LossEvidence loss = Loss("u", 0, true);
  loss.margin.reset();
  EXPECT_NEAR(Decide(Of({loss})).comparisons(0).margin(), 0.1, 1e-9);
  loss.unit = "percent";
  EXPECT_DOUBLE_EQ(Decide(Of({loss})).comparisons(0).margin(), 1.0);
}

TEST(VerdictTest, AnUndefinedLossDecidesNothing) {
  LossEvidence loss = Loss("w", std::nan(""), false);
  const v1::Verdict verdict = Decide(Of({Loss("u", -1, true), loss}));
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
}

}  // namespace
}  // namespace backfire::verdict
