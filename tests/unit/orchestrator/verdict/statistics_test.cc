#include "orchestrator/verdict/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "services/base/random.h"

namespace backfire::verdict {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<LossSample> Values(const std::vector<double>& values) {
  std::vector<LossSample> samples;
  for (const double value : values) samples.push_back({value, {}});
  return samples;
}

// Quantiles as printed in tables of Student's distribution.
TEST(StatisticsTest, StudentMatchesPublishedTables) {
  EXPECT_NEAR(StudentQuantile(0.975, 4), 2.776445, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.95, 9), 1.833113, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.95, 1), 6.313752, 1e-6);
  EXPECT_NEAR(StudentQuantile(0.975, std::numeric_limits<double>::infinity()), 1.959964, 1e-6);
  EXPECT_NEAR(StudentUpperTail(2.776445, 4), 0.025, 1e-8);
  EXPECT_NEAR(StudentUpperTail(-1.833113, 9), 0.95, 1e-7);
}

// R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
TEST(StatisticsTest, HolmMatchesR) {
  EXPECT_THAT(HolmAdjusted({0.01, 0.04, 0.03, 0.005}),
              ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12),
                          DoubleNear(0.02, 1e-12)));
  EXPECT_THAT(HolmAdjusted({}), ElementsAre());
  // A member without a p-value still counts.
  const auto adjusted = HolmAdjusted({std::nan(""), 0.02});
  EXPECT_TRUE(std::isnan(adjusted[0]));
  EXPECT_NEAR(adjusted[1], 0.04, 1e-12);
}

TEST(StatisticsTest, WithoutResamplesItIsThePairedTTest) {
  // Differences 1, 2, 0: mean 1, S^2 = 1.
  const Difference difference = EstimateDifference(Values({1, 2, 3}), Values({2, 4, 3}), 100);
  EXPECT_DOUBLE_EQ(difference.mean, 1);
  EXPECT_NEAR(difference.standard_error, std::sqrt(1.0 / 3), 1e-12);
  EXPECT_NEAR(difference.degrees_of_freedom, 2, 1e-12);
}

TEST(StatisticsTest, BothSourcesOfNoiseAdd) {
  // Differences 1 and 3: S^2 / K = 2 / 2 = 1. Resampled means over replicates 1, 2, 3: variance 1.
  const std::vector<LossSample> before = {{0, {0, 0, 0}}, {0, {0, 0, 0}}};
  const std::vector<LossSample> after = {{1, {0, 1, 2}}, {3, {2, 3, 4}}};
  const Difference difference = EstimateDifference(before, after, 11);
  EXPECT_NEAR(difference.standard_error, std::sqrt(2.0), 1e-12);
  // Welch and Satterthwaite: (1 + 1)^2 / (1 / 1 + 1 / 10).
  EXPECT_NEAR(difference.degrees_of_freedom, 4 / 1.1, 1e-12);
}

TEST(StatisticsTest, OneReplicateHasNoStandardError) {
  const Difference difference = EstimateDifference({{1, {1, 2}}}, {{2, {2, 4}}}, 50);
  EXPECT_TRUE(std::isnan(difference.standard_error));
  EXPECT_NEAR(difference.example_error, std::sqrt(0.5), 1e-12);
}

TEST(StatisticsTest, SwappingBeforeAndAfterSwapsTheSign) {
  Random random(3);
  std::vector<LossSample> before(5), after(5);
  for (auto* samples : {&before, &after}) {
    for (LossSample& sample : *samples) {
      sample.value = random.Normal();
      for (int b = 0; b < 20; ++b) sample.resampled.push_back(random.Normal());
    }
  }
  const Difference there = EstimateDifference(before, after, 30);
  const Difference back = EstimateDifference(after, before, 30);
  EXPECT_DOUBLE_EQ(there.mean, -back.mean);
  EXPECT_DOUBLE_EQ(there.standard_error, back.standard_error);
  EXPECT_DOUBLE_EQ(there.degrees_of_freedom, back.degrees_of_freedom);
}

// Nothing has changed but for two kinds of noise: of 5 % tests, 5 % cry wolf.
TEST(StatisticsTest, FiveReplicatesKeepTheirFalseAlarmRate) {
  constexpr int kTrials = 2000, kExamples = 60, kResamples = 100, kReplicates = 5;
  int alarms = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Random random(11, static_cast<uint64_t>(trial));
    std::vector<double> of_example(kExamples);
    for (double& d : of_example) d = random.Normal();
    const auto mean = [&](auto pick) {
      double sum = 0;
      for (int i = 0; i < kExamples; ++i) sum += of_example[static_cast<size_t>(pick(i))];
      return sum / kExamples;
    };
    std::vector<double> resampled;
    for (int b = 0; b < kResamples; ++b) {
      resampled.push_back(mean([&](int) { return random.Below(kExamples); }));
    }
    std::vector<LossSample> before(kReplicates), after(kReplicates);
    for (int k = 0; k < kReplicates; ++k) {
      const double training = 0.2 * random.Normal();
      auto& sample = after[static_cast<size_t>(k)];
      sample.value = mean([](int i) { return i; }) + training;
      for (const double value : resampled) sample.resampled.push_back(value + training);
      before[static_cast<size_t>(k)] = {0, std::vector<double>(kResamples, 0.0)};
    }
    const Difference difference = EstimateDifference(before, after, kExamples);
    const double t = difference.mean / difference.standard_error;
    if (StudentUpperTail(t, difference.degrees_of_freedom) < 0.05) ++alarms;
  }
  // Four standard errors of a proportion of 2000 are 0.02.
  EXPECT_NEAR(static_cast<double>(alarms) / kTrials, 0.05, 0.02);
}

}  // namespace
}  // namespace backfire::verdict
