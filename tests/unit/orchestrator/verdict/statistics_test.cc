#include "orchestrator/verdict/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace backfire::verdict {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsNan;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Expected values: tables of Student's t distribution.
TEST(StudentTest, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(StudentQuantile(0.975, 1), 12.7062, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, 4), 2.7764, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.95, 4), 2.1318, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, 10), 2.2281, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, kInfinity), 1.95996, 1e-5);
}

TEST(StudentTest, TailsAreThoseOfTheTables) {
  EXPECT_NEAR(StudentUpperTail(2.1318, 4), 0.05, 1e-5);
  EXPECT_NEAR(StudentUpperTail(-2.1318, 4), 0.95, 1e-5);
  EXPECT_EQ(StudentUpperTail(0, 7.3), 0.5);
  EXPECT_NEAR(StudentUpperTail(1.95996, kInfinity), 0.025, 1e-6);
  EXPECT_EQ(StudentUpperTail(kInfinity, 4), 0);
  EXPECT_EQ(StudentUpperTail(-kInfinity, 4), 1);
}

TEST(HolmTest, AdjustsByHand) {
  // 4 * 0.005, 3 * 0.01, 2 * 0.03, then max(0.06, 1 * 0.04).
  EXPECT_THAT(HolmAdjusted({0.01, 0.04, 0.03, 0.005}),
              ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12),
                          DoubleNear(0.02, 1e-12)));
}

TEST(HolmTest, NeverExceedsOneAndNeedsNoFamily) {
  EXPECT_THAT(HolmAdjusted({0.9, 0.8}), ElementsAre(1, 1));
  EXPECT_THAT(HolmAdjusted({0.03}), ElementsAre(0.03));
  EXPECT_TRUE(HolmAdjusted({}).empty());
}

TEST(HolmTest, UndefinedCountsAsAMember) {
  EXPECT_THAT(HolmAdjusted({kNan, 0.02}), ElementsAre(IsNan(), DoubleNear(0.04, 1e-12)));
}

std::vector<LossSample> Constant(int replicates, double value, int resamples) {
  return std::vector<LossSample>(
      static_cast<size_t>(replicates),
      LossSample{value, std::vector<double>(static_cast<size_t>(resamples), value)});
}

TEST(EstimateDifferenceTest, LossesBeyondSquaringHaveNoError) {
  std::vector<LossSample> before = Constant(2, 1e170, 4), after = Constant(2, 3e170, 4);
  after[1].value = -2e170;
  after[0].resampled = {1e170, -1e170, 2e170, 3e170};
  const Difference difference = EstimateDifference(before, after, 10);
  EXPECT_TRUE(std::isfinite(difference.mean));
  EXPECT_TRUE(std::isnan(difference.standard_error));
  EXPECT_TRUE(std::isnan(difference.degrees_of_freedom));
}

TEST(EstimateDifferenceTest, FreedomIsTheSameInAnyUnit) {
  std::vector<LossSample> before = Constant(3, 0, 4), after = Constant(3, 0, 4);
  for (size_t i = 0; i < 3; ++i) {
    after[i].value = static_cast<double>(i);
    after[i].resampled = {0.1, 0.5, -0.2, 0.3};
  }
  const double freedom = EstimateDifference(before, after, 10).degrees_of_freedom;
  for (const double unit : {1e-90, 1e90}) {
    std::vector<LossSample> scaled = after;
    for (LossSample& sample : scaled) {
      sample.value *= unit;
      for (double& value : sample.resampled) value *= unit;
    }
    EXPECT_NEAR(EstimateDifference(before, scaled, 10).degrees_of_freedom, freedom, 1e-9);
  }
}

TEST(EstimateDifferenceTest, ResamplesThatDoNotPairSayNothing) {
  const std::vector<LossSample> before = Constant(2, 1, 8);
  for (const int resamples : {0, 7, 9}) {
    const Difference difference = EstimateDifference(before, Constant(2, 2, resamples), 10);
    EXPECT_EQ(difference.mean, 1);
    EXPECT_TRUE(std::isnan(difference.standard_error));
  }
}

TEST(EstimateDifferenceTest, AddsBothSourcesOfNoise) {
  const auto before = Constant(5, 0, 2);
  std::vector<LossSample> after;
  for (const double value : {1, 2, 3, 4, 5}) after.push_back({value, {2.5, 3.5}});
  const Difference difference = EstimateDifference(before, after, /*examples=*/101);
  EXPECT_DOUBLE_EQ(difference.mean, 3);
  // S^2 = 2.5, S^2 / K = 0.5; over the resamples 0.5; together 1.
  EXPECT_DOUBLE_EQ(difference.standard_error, 1);
  EXPECT_DOUBLE_EQ(difference.example_error, std::sqrt(0.5));
  // 1 / (0.5^2 / 4 + 0.5^2 / 100).
  EXPECT_NEAR(difference.degrees_of_freedom, 1 / 0.065, 1e-9);
  EXPECT_FALSE(difference.no_training_noise);
}

TEST(EstimateDifferenceTest, PairsReplicatesAndResamples) {
  // Replicates and resamples that move before and after alike say that nothing differs.
  std::vector<LossSample> before, after;
  for (const double value : {1.0, 9.0, 4.0}) {
    before.push_back({value, {value - 3, value + 3}});
    after.push_back({value + 2, {value - 1, value + 5}});
  }
  const Difference difference = EstimateDifference(before, after, 50);
  EXPECT_DOUBLE_EQ(difference.mean, 2);
  EXPECT_DOUBLE_EQ(difference.standard_error, 0);
  EXPECT_TRUE(difference.no_training_noise);
}

TEST(EstimateDifferenceTest, OneReplicateSaysNothingOfTraining) {
  const Difference difference =
      EstimateDifference({{1, {1, 1, 1}}}, {{2, {1, 2, 3}}}, /*examples=*/50);
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  EXPECT_DOUBLE_EQ(difference.example_error, 1);
  EXPECT_THAT(difference.standard_error, IsNan());
  EXPECT_THAT(difference.degrees_of_freedom, IsNan());
  EXPECT_FALSE(difference.no_training_noise);
}

TEST(EstimateDifferenceTest, WithoutResamplesThereIsNoStandardError) {
  // The spread of seeds alone would leave out the test examples, and alarm falsely.
  std::vector<LossSample> after = {{1, {}}, {1.1, {}}, {0.9, {}}};
  const Difference difference = EstimateDifference(Constant(3, 0, 0), after, 50);
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  EXPECT_THAT(difference.standard_error, IsNan());
  EXPECT_THAT(difference.example_error, IsNan());
}

TEST(EstimateDifferenceTest, OneExampleSaysNothingOfOthers) {
  // Its resamples are all itself, and would say that nothing varies.
  const auto after = Constant(5, 1, 10);
  EXPECT_THAT(EstimateDifference(Constant(5, 0, 10), after, /*examples=*/1).standard_error,
              IsNan());
  EXPECT_EQ(EstimateDifference(Constant(5, 0, 10), after, /*examples=*/2).standard_error, 0);
}

TEST(EstimateDifferenceTest, TellsIdenticalLossesFromEqualDifferences) {
  EXPECT_TRUE(EstimateDifference(Constant(5, 1, 10), Constant(5, 1, 10), 50).identical);
  EXPECT_FALSE(EstimateDifference(Constant(5, 1, 10), Constant(5, 2, 10), 50).identical);
  auto resampled = Constant(5, 1, 10);
  resampled[4].resampled[9] = 2;
  EXPECT_FALSE(EstimateDifference(Constant(5, 1, 10), resampled, 50).identical);
}

TEST(EstimateDifferenceTest, ResamplesThatLeaveALossUndefinedSayNothing) {
  const auto before = Constant(2, 0, 4);
  const std::vector<LossSample> after = {{1, {0, 2, kNan, 1}}, {1, {0, 2, 1, 1}}};
  EXPECT_DOUBLE_EQ(EstimateDifference(before, after, 50).example_error, 1);
  EXPECT_EQ(EstimateDifference(before, after, 50).undefined_resamples, 1);
  const std::vector<LossSample> mostly = {{1, {0, kNan, kNan, kNan}}, {1, {0, 2, 1, 1}}};
  EXPECT_THAT(EstimateDifference(before, mostly, 50).standard_error, IsNan());
}

TEST(EstimateDifferenceTest, UndefinedLossesHaveAnUndefinedDifference) {
  const std::vector<LossSample> after = {{kNan, {1, 2}}, {1, {1, 2}}};
  const Difference difference = EstimateDifference(Constant(2, 0, 2), after, 50);
  EXPECT_THAT(difference.mean, IsNan());
  EXPECT_THAT(difference.standard_error, IsNan());
}

}  // namespace
}  // namespace backfire::verdict
