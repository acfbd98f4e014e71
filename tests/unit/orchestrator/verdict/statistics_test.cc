#include "orchestrator/verdict/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace backfire::verdict {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsNan;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(HolmTest, AdjustsByHand) {
  // 4 * 0.005, 3 * 0.01, 2 * 0.03, then max(0.06, 1 * 0.04).
  EXPECT_THAT(HolmStepDown({0.01, 0.04, 0.03, 0.005}, 0.05).adjusted,
              ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12),
                          DoubleNear(0.02, 1e-12)));
}

TEST(HolmTest, SaysAtWhatLevelEachWasTested) {
  // 0.005 < 0.05 / 4 and 0.01 < 0.05 / 3; 0.03 >= 0.05 / 2 stops it, for 0.04 too.
  EXPECT_THAT(HolmStepDown({0.01, 0.04, 0.03, 0.005}, 0.05).levels,
              ElementsAre(0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4));
  EXPECT_THAT(HolmStepDown({0.3, 0.4}, 0.05).levels, ElementsAre(0.025, 0.025));
}

TEST(HolmTest, NeverExceedsOneAndNeedsNoFamily) {
  EXPECT_THAT(HolmStepDown({0.9, 0.8}, 0.05).adjusted, ElementsAre(1, 1));
  EXPECT_THAT(HolmStepDown({0.03}, 0.05).adjusted, ElementsAre(0.03));
  EXPECT_TRUE(HolmStepDown({}, 0.05).adjusted.empty());
}

TEST(HolmTest, UndefinedCountsAsAMember) {
  EXPECT_THAT(HolmStepDown({kNan, 0.02}, 0.05).adjusted,
              ElementsAre(IsNan(), DoubleNear(0.04, 1e-12)));
}

std::vector<LossSample> Constant(int replicates, double value, int resamples) {
  return std::vector<LossSample>(
      static_cast<size_t>(replicates),
      LossSample{value, std::vector<double>(static_cast<size_t>(resamples), value)});
}

// A split of so many examples, which all bear upon the loss.
SampleSize All(int64_t examples) { return {examples, examples}; }

TEST(EstimateDifferenceTest, LossesBeyondSquaringHaveNoError) {
  std::vector<LossSample> before = Constant(2, 1e170, 4), after = Constant(2, 3e170, 4);
  after[1].value = -2e170;
  after[0].resampled = {1e170, -1e170, 2e170, 3e170};
  const Difference difference = EstimateDifference(before, after, All(10));
  EXPECT_TRUE(std::isfinite(difference.mean));
  EXPECT_FALSE(difference.has_error());
  EXPECT_THAT(difference.standard_error(), IsNan());
}

TEST(DifferenceTest, VariancesThatNoTestCanBeMadeOfHaveNoError) {
  Difference difference;
  difference.training_variance = difference.example_variance = 1e100;
  EXPECT_TRUE(difference.has_error());
  difference.training_variance = 1e306;
  EXPECT_FALSE(difference.has_error());
  EXPECT_THAT(difference.standard_error(), IsNan());
}

TEST(EstimateDifferenceTest, ResamplesThatDoNotPairSayNothing) {
  const std::vector<LossSample> before = Constant(2, 1, 8);
  for (const int resamples : {0, 7, 9}) {
    const Difference difference = EstimateDifference(before, Constant(2, 2, resamples), All(10));
    EXPECT_EQ(difference.mean, 1);
    EXPECT_FALSE(difference.has_error());
  }
}

TEST(EstimateDifferenceTest, HasAVarianceForEachSourceOfNoise) {
  const auto before = Constant(5, 0, 2);
  std::vector<LossSample> after;
  for (const double value : {1, 2, 3, 4, 5}) after.push_back({value, {2.5, 3.5}});
  const Difference difference = EstimateDifference(before, after, {101, 51});
  EXPECT_DOUBLE_EQ(difference.mean, 3);
  // S^2 = 2.5, S^2 / K = 0.5; over the resamples 0.5, times 101 / 100. All replicates feel them
  // alike: there is no interaction.
  EXPECT_DOUBLE_EQ(difference.training_variance, 0.5);
  EXPECT_DOUBLE_EQ(difference.example_variance, 0.505);
  EXPECT_DOUBLE_EQ(difference.interaction_variance, 0);
  EXPECT_DOUBLE_EQ(difference.standard_error(), std::sqrt(1.005));
  EXPECT_EQ(difference.training_freedom, 4);
  // 50 of the examples that bear upon it, 1 of two resamples.
  EXPECT_DOUBLE_EQ(difference.example_freedom, 1 / (1.0 / 50 + 1));
  EXPECT_FALSE(difference.no_training_noise);
}

// By hand, K = 2, B = 2: replicates move by (0, 4) and (0, 0) on the resamples, variances 8 and 0,
// and their mean by (0, 2), variance 2; c = (4 - 2) / 1 = 2, times n / (n - 1).
TEST(EstimateDifferenceTest, CountsWhatExamplesAndTrainingsDoTogetherOnce) {
  const auto before = Constant(2, 0, 2);
  for (const double spread : {1.0, 10.0}) {
    const std::vector<LossSample> after = {{5 + spread, {0, 4}}, {5 - spread, {0, 0}}};
    const Difference difference = EstimateDifference(before, after, All(11));
    // S^2 = 2 spread^2, a = spread^2: a small a says that there can't be so much interaction.
    const double interaction = std::min(2.2, spread * spread);
    EXPECT_DOUBLE_EQ(difference.training_variance, spread * spread);
    EXPECT_DOUBLE_EQ(difference.interaction_variance, interaction);
    EXPECT_NEAR(difference.example_variance, 2.2 - interaction, 1e-12);
  }
}

TEST(EstimateDifferenceTest, PairsReplicatesAndResamples) {
  // Replicates and resamples that move before and after alike say that nothing differs.
  std::vector<LossSample> before, after;
  for (const double value : {1.0, 9.0, 4.0}) {
    before.push_back({value, {value - 3, value + 3}});
    after.push_back({value + 2, {value - 1, value + 5}});
  }
  const Difference difference = EstimateDifference(before, after, All(50));
  EXPECT_DOUBLE_EQ(difference.mean, 2);
  EXPECT_DOUBLE_EQ(difference.standard_error(), 0);
  EXPECT_TRUE(difference.no_training_noise);
}

// 0.1 + 0.2 is not 0.3, and 1.3 - 1.2 not 0.1.
TEST(EstimateDifferenceTest, EqualWithinRoundingIsEqual) {
  const std::vector<LossSample> before = {{0.3, {0.3, 0.3}}, {0.3, {0.3, 0.3}}};
  const std::vector<LossSample> after = {{0.1 + 0.2, {0.1 + 0.2, 0.3}}, {0.3, {0.3, 0.3}}};
  ASSERT_NE(after[0].value, before[0].value);
  const Difference same = EstimateDifference(before, after, All(50));
  EXPECT_EQ(same.mean, 0);
  EXPECT_EQ(same.standard_error(), 0);
  const std::vector<LossSample> far = {{1.3, {1.3, 1.3}}, {1.4, {1.4, 1.4}}};
  const std::vector<LossSample> near = {{1.2, {1.2, 1.2}}, {1.3, {1.3, 1.3}}};
  ASSERT_NE(far[0].value - near[0].value, far[1].value - near[1].value);
  EXPECT_TRUE(EstimateDifference(near, far, All(50)).no_training_noise);
  EXPECT_EQ(EstimateDifference(near, far, All(50)).standard_error(), 0);
}

TEST(EstimateDifferenceTest, OneReplicateSaysNothingOfTraining) {
  const Difference difference = EstimateDifference({{1, {1, 1, 1}}}, {{2, {1, 2, 3}}}, All(51));
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  EXPECT_DOUBLE_EQ(difference.example_variance, 1.02);
  EXPECT_THAT(difference.training_variance, IsNan());
  EXPECT_FALSE(difference.has_error());
  EXPECT_FALSE(difference.no_training_noise);
}

TEST(EstimateDifferenceTest, WithoutResamplesThereIsNoStandardError) {
  // The spread of seeds alone would leave out the test examples, and alarm falsely.
  std::vector<LossSample> after = {{1, {}}, {1.1, {}}, {0.9, {}}};
  const Difference difference = EstimateDifference(Constant(3, 0, 0), after, All(50));
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  EXPECT_FALSE(difference.has_error());
  EXPECT_THAT(difference.example_variance, IsNan());
}

TEST(EstimateDifferenceTest, OneExampleSaysNothingOfOthers) {
  // Its resamples are all itself, and would say that nothing varies.
  const auto before = Constant(5, 0, 10), after = Constant(5, 1, 10);
  EXPECT_FALSE(EstimateDifference(before, after, All(1)).has_error());
  EXPECT_FALSE(EstimateDifference(before, after, {200, 1}).has_error());
  EXPECT_EQ(EstimateDifference(before, after, All(2)).standard_error(), 0);
}

TEST(EstimateDifferenceTest, TellsIdenticalLossesFromEqualDifferences) {
  EXPECT_TRUE(EstimateDifference(Constant(5, 1, 10), Constant(5, 1, 10), All(50)).identical);
  EXPECT_FALSE(EstimateDifference(Constant(5, 1, 10), Constant(5, 2, 10), All(50)).identical);
  auto resampled = Constant(5, 1, 10);
  resampled[4].resampled[9] = 2;
  EXPECT_FALSE(EstimateDifference(Constant(5, 1, 10), resampled, All(50)).identical);
}

TEST(EstimateDifferenceTest, ResamplesThatLeaveALossUndefinedSayNothing) {
  const auto before = Constant(2, 0, 4);
  const std::vector<LossSample> after = {{1, {0, 2, kNan, 1}}, {1, {0, 2, 1, 1}}};
  const Difference difference = EstimateDifference(before, after, All(51));
  EXPECT_DOUBLE_EQ(difference.example_variance, 1.02);
  EXPECT_EQ(difference.undefined_resamples, 1);
  const std::vector<LossSample> mostly = {{1, {0, kNan, kNan, kNan}}, {1, {0, 2, 1, 1}}};
  EXPECT_FALSE(EstimateDifference(before, mostly, All(51)).has_error());
}

TEST(EstimateDifferenceTest, UndefinedLossesHaveAnUndefinedDifference) {
  const std::vector<LossSample> after = {{kNan, {1, 2}}, {1, {1, 2}}};
  const Difference difference = EstimateDifference(Constant(2, 0, 2), after, All(50));
  EXPECT_THAT(difference.mean, IsNan());
  EXPECT_FALSE(difference.has_error());
}

}  // namespace
}  // namespace backfire::verdict
