// What blocks an update: one family, one alpha, over all planned looks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "orchestrator/verdict/looks.h"
#include "orchestrator/verdict/verdict.h"
#include "tests/unit/orchestrator/verdict/verdict_losses.h"

namespace backfire::verdict {
namespace {

using ::testing::HasSubstr;
using C = v1::LossComparison;

TEST(BlockingTest, AFamilyNeedsMoreEvidence) {
  // Ten of them must not alarm together.
  const v1::Verdict alone = DecideOn({Candidate(Around(-1)), Descendant(kSlight, 1e-6)});
  EXPECT_TRUE(alone.harmed());
  std::vector<LossEvidence> losses = {Candidate(Around(-1))};
  for (int i = 0; i < 10; ++i) losses.push_back(Descendant(kSlight, 1e-6));
  const v1::Verdict family = DecideOn(losses);
  EXPECT_FALSE(family.harmed());
  EXPECT_EQ(family.family(), 11);
  EXPECT_NEAR(family.comparisons(1).p_beyond_adjusted(), 11 * family.comparisons(1).p_beyond(),
              1e-12);
}

// The candidate is in the same family: a verdict spends alpha once.
TEST(BlockingTest, TheCandidateAndItsDescendantsShareAlpha) {
  EXPECT_TRUE(Blocks(DecideOn({Candidate(kSlight, 1e-6)})));
  const v1::Verdict both = DecideOn({Candidate(kSlight, 1e-6), Descendant(kSlight, 1e-6)});
  // Of two at 0.024, none is below 0.025 by itself and 0.05 with the other: both are.
  EXPECT_TRUE(both.harmed());
  const v1::Verdict three =
      DecideOn({Candidate(kSlight, 1e-6), Descendant(kSlight, 1e-6), Descendant(Around(-1))});
  EXPECT_FALSE(Blocks(three));
}

// What the interval says is what the tests say.
TEST(BlockingTest, IntervalsAgreeWithTheTests) {
  std::vector<LossEvidence> losses = {Candidate(Around(-1))};
  for (int i = -20; i <= 20; ++i) losses.push_back(Descendant(Around(0.05 * i, 4)));
  const v1::Verdict verdict = DecideOn(losses);
  std::set<C::Outcome> seen;
  for (const v1::LossComparison& one : verdict.comparisons()) {
    seen.insert(one.outcome());
    EXPECT_EQ(one.outcome() == C::WORSE, one.interval_low() > one.margin());
    EXPECT_EQ(one.outcome() == C::BETTER, one.interval_high() < 0);
    EXPECT_EQ(one.outcome() == C::NO_WORSE || one.outcome() == C::WORSE_WITHIN_MARGIN,
              one.interval_high() >= 0 && one.interval_high() < one.margin());
    EXPECT_EQ(one.outcome() == C::WORSE_WITHIN_MARGIN,
              one.interval_low() > 0 && one.interval_high() < one.margin());
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(BlockingTest, AFirstLookBlocksNothing) {
  std::vector<double> harm = Around(5);
  harm.resize(4);
  const v1::Verdict verdict = DecideOn({Candidate(harm), Descendant(harm)});
  EXPECT_TRUE(verdict.harmed());
  EXPECT_FALSE(Blocks(verdict));
}

// A verdict that can't say whether the candidate is an improvement still knows of harm.
TEST(BlockingTest, HarmBlocksWhateverTheVerdictIsCalled) {
  const v1::Verdict verdict = DecideOn({Candidate(Around(0, 200)), Descendant(Around(2))});
  EXPECT_EQ(verdict.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_TRUE(Blocks(verdict));
}

// p = 0.024 by itself: enough for one look, and for the last of two, and not for the first of two:
// all noise is training's, so that five replicates of ten are half of the information, at which
// 0.0056 may be spent.
TEST(BlockingTest, PlannedLooksSpendAlphaAsInformationComesIn) {
  Evidence evidence;
  evidence.losses = {Descendant(kSlight, 1e-6)};
  EXPECT_TRUE(Decide(evidence).harmed());
  evidence.look_replicates = {5, 10};
  const v1::Verdict first = Decide(evidence);
  EXPECT_FALSE(first.harmed());
  EXPECT_EQ(first.outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(first.look(), 1);
  EXPECT_EQ(first.planned_looks(), 2);
  EXPECT_DOUBLE_EQ(first.alpha(), 0.05);
  EXPECT_NEAR(first.look_alpha(), 0.005575, 1e-5);
  EXPECT_EQ(first.comparisons(0).level(), first.look_alpha());

  evidence.look = 2;
  evidence.look_replicates = {3, 5};
  const v1::Verdict last = Decide(evidence);
  EXPECT_TRUE(last.harmed());
  EXPECT_NEAR(last.look_alpha(), Looks({0.6, 1}).Level(0.05), 1e-6);
}

TEST(BlockingTest, ALookOfWhichMoreArePlannedSaysSo) {
  Evidence evidence;
  evidence.losses = {Candidate(Around(-1)), Descendant(kSlight, 1e-6)};
  evidence.look_replicates = {5, 10, 15};
  EXPECT_THAT(Decide(evidence).summary(), HasSubstr("The next of 3 planned looks"));
}

// Test examples are there from the first look on: where they make all of the noise, nothing is left
// to wait for.
TEST(BlockingTest, ALookThatHasAllInformationSpendsAllOfAlpha) {
  Evidence evidence;
  evidence.losses = {Descendant(std::vector<double>(5, 0.8), 0.15)};
  evidence.look_replicates = {5, 10};
  EXPECT_DOUBLE_EQ(Decide(evidence).look_alpha(), 0.05);
}

}  // namespace
}  // namespace backfire::verdict
