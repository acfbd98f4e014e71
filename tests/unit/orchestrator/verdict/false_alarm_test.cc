// How often a system that is worse by just its margin is called worse beyond it: the promise that a
// verdict makes.
#include <gtest/gtest.h>

#include <cmath>

#include "orchestrator/verdict/verdict.h"
#include "services/base/random.h"

namespace backfire::verdict {
namespace {

constexpr int kSystems = 3000;
constexpr int kExamples = 100;
constexpr int kResamples = 200;
constexpr double kMargin = 0.1;

struct NoiseCase {
  std::string name;
  double training_error;  // Standard deviation of a replicate's loss, over that of the test mean.
};
class FalseAlarmTest : public ::testing::TestWithParam<NoiseCase> {};

// A loss is the mean over test examples of a difference that all replicates share, plus what a
// replicate's training adds. Over all test sets and trainings the difference is the margin.
LossEvidence Draw(uint64_t system, double training_error) {
  Random random(system, 1);
  std::vector<double> of_example;
  double mean = 0;
  for (int i = 0; i < kExamples; ++i) {
    of_example.push_back(random.Normal() * std::sqrt(kExamples));
    mean += of_example.back() / kExamples;
  }
  std::vector<double> resampled;
  for (int b = 0; b < kResamples; ++b) {
    double sum = 0;
    for (int i = 0; i < kExamples; ++i) {
      sum += of_example[static_cast<size_t>(random.Below(kExamples))];
    }
    resampled.push_back(sum / kExamples);
  }
  LossEvidence loss;
  loss.vertex = "second";
  loss.loss = "mae";
  loss.margin = kMargin;
  loss.size = {kExamples, kExamples};
  for (int k = 0; k < kReplicatesToDecide; ++k) {
    const double training = training_error * random.Normal();
    loss.before.push_back({10, std::vector<double>(kResamples, 10.0)});
    LossSample& after = loss.after.emplace_back();
    after.value = 10 + kMargin + mean + training;
    for (const double value : resampled) after.resampled.push_back(10 + kMargin + value + training);
  }
  return loss;
}

TEST_P(FalseAlarmTest, IsAtMostFivePercent) {
  Evidence evidence;
  int alarms = 0, covered = 0;
  for (int system = 0; system < kSystems; ++system) {
    evidence.losses = {Draw(static_cast<uint64_t>(system), GetParam().training_error)};
    const v1::Verdict verdict = Decide(evidence);
    const v1::LossComparison& comparison = verdict.comparisons(0);
    alarms += verdict.harmed() ? 1 : 0;
    covered +=
        comparison.interval_low() <= kMargin && kMargin <= comparison.interval_high() ? 1 : 0;
  }
  // The standard error of a rate of 0.05 from 3000 is 0.004.
  EXPECT_LE(static_cast<double>(alarms) / kSystems, 0.05 + 0.012);
  EXPECT_GE(static_cast<double>(alarms) / kSystems, 0.02);  // Careful, and not blind.
  EXPECT_GE(static_cast<double>(covered) / kSystems, 0.9 - 0.017);
}

INSTANTIATE_TEST_SUITE_P(Noise, FalseAlarmTest,
                         ::testing::Values(NoiseCase{"ExamplesAlone", 0},
                                           NoiseCase{"ExamplesMost", 0.3},
                                           NoiseCase{"Both", std::sqrt(5.0)},
                                           NoiseCase{"TrainingMost", 20}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace backfire::verdict
