// How often a system that is worse by just its margin is called worse beyond it: the promise that a
// verdict makes.
#include <gtest/gtest.h>

#include <cmath>

#include "orchestrator/verdict/verdict.h"
#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

namespace backfire::verdict {
namespace {

constexpr int kSystems = 3000;
constexpr int kExamples = 100;
constexpr int kResamples = 200;
constexpr double kMargin = 0.1;

// The noise of a test example: that of its own, and that of its cluster.
struct Clusters {
  std::vector<int> sizes;
  double correlation;  // Between two examples of one cluster.
  bool named = true;
};

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

struct ClusterCase {
  std::string name;
  Clusters clusters;
  double least, most;  // Alarms.
};
class ClusterTest : public ::testing::TestWithParam<ClusterCase> {};

// As Draw, without noise of training, which would only hide what the examples do.
LossEvidence DrawClusters(uint64_t system, const Clusters& clusters,
                          const metrics::Resampling& resampling) {
  Random random(system, 2);
  std::vector<double> values;
  for (const int size : clusters.sizes) {
    const double shared = std::sqrt(clusters.correlation) * random.Normal();
    for (int i = 0; i < size; ++i) {
      values.push_back(10 + kMargin + shared +
                       std::sqrt(1 - clusters.correlation) * random.Normal());
    }
  }
  v1::Evaluation evaluation;
  metrics::AddRatioLoss(values, std::vector<double>(values.size(), 1), resampling, "mae", "", true,
                        evaluation);
  const v1::LossEstimate& estimate = evaluation.losses(0);
  LossEvidence loss;
  loss.vertex = "second";
  loss.loss = "mae";
  loss.margin = kMargin;
  loss.size = {resampling.example_count(), estimate.example_count()};
  if (resampling.cluster_count() > 0) {
    loss.size.clusters = ClusterCounts{resampling.cluster_count(), estimate.cluster_count(),
                                       estimate.effective_cluster_count()};
  }
  loss.before.assign(kReplicatesToDecide, {10, std::vector<double>(kResamples, 10.0)});
  loss.after.assign(kReplicatesToDecide,
                    {estimate.value(), {estimate.resampled().begin(), estimate.resampled().end()}});
  return loss;
}

TEST_P(ClusterTest, NamedClustersKeepTheChanceOfAnAlarm) {
  const Clusters& clusters = GetParam().clusters;
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(kResamples);
  std::vector<std::string> names;
  for (size_t c = 0; c < clusters.sizes.size(); ++c) {
    names.insert(names.end(), clusters.sizes[c], clusters.named ? std::to_string(c) : "");
  }
  const metrics::Resampling resampling(bootstrap, names);
  Evidence evidence;
  int alarms = 0;
  for (int system = 0; system < kSystems; ++system) {
    evidence.losses = {DrawClusters(static_cast<uint64_t>(system), clusters, resampling)};
    alarms += Decide(evidence).harmed() ? 1 : 0;
  }
  const double share = static_cast<double>(alarms) / kSystems;
  EXPECT_GE(share, GetParam().least);
  EXPECT_LE(share, GetParam().most);
}

const std::vector<int> kDrives(16, 20), kUnequalDrives = {4,  4,  5,  6,  8,  9,  11, 14,
                                                          17, 20, 24, 29, 35, 42, 51, 41};
constexpr double kMost = 0.05 + 0.012;  // Three standard errors, as above.

INSTANTIATE_TEST_SUITE_P(
    Drives, ClusterTest,
    ::testing::Values(ClusterCase{"HardlyAlike", {kDrives, 0.05}, 0.03, kMost},
                      ClusterCase{"SomewhatAlike", {kDrives, 0.1}, 0.03, kMost},
                      ClusterCase{"MuchAlike", {kDrives, 0.3}, 0.03, kMost},
                      ClusterCase{"Unequal", {kUnequalDrives, 0.3}, 0.02, kMost},
                      ClusterCase{"UnequalAndNotAlike", {kUnequalDrives, 0}, 0.01, kMost},
                      // Without their names the promise is broken: the measure sees it.
                      ClusterCase{"Unnamed", {kDrives, 0.1, false}, 0.1, 1}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace backfire::verdict
