// Verdicts by an independent implementation: see golden/README.md.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "orchestrator/verdict/verdict.h"
#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

namespace backfire::verdict {
namespace {

constexpr uint64_t kFirstClustered = 200;

// draw_evidence of golden/verdict_reference.py, number for number.
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed, 7) {}
  double Uniform() { return random_.Uniform(); }
  double Noise() {
    const double first = random_.Uniform(), second = random_.Uniform();
    const double third = random_.Uniform();
    return first + second + third + random_.Uniform() - 2;
  }
  template <typename T>
  T Pick(const std::vector<T>& values) {
    return values[static_cast<size_t>(random_.Uniform() * static_cast<double>(values.size()))];
  }

 private:
  Random random_;
};

LossEvidence DrawLoss(Draws& draws, int index, int replicates, int resamples, int64_t examples) {
  LossEvidence loss;
  loss.vertex = index == 0 ? "candidate" : "descendant";
  loss.loss = "loss-" + std::to_string(index);
  loss.candidate = index == 0;
  std::vector<std::string> kinds(9, "plain");
  kinds.insert(kinds.end(), {"nan", "equal", "constant"});
  const std::string kind = draws.Pick(kinds);
  loss.size.examples = examples;
  loss.size.bearing = draws.Pick<int64_t>({examples, examples, std::max<int64_t>(2, examples / 2)});
  loss.unit = draws.Pick<int>({0, 0, 1}) == 1 ? "percent" : "px";
  const double margin = draws.Pick<double>({-1, 0.0, 0.25, 1.0});
  if (margin >= 0) loss.margin = margin;
  loss.judged = draws.Pick<int>({1, 1, 1, 1, 1, 0}) == 1 || index == 0;
  double shift = draws.Pick<double>({-2.0, -0.5, 0.0, 0.0, 0.5, 1.0, 3.0});
  double training = draws.Pick<double>({0.01, 0.1, 0.5, 1.0});
  double example = draws.Pick<double>({0.01, 0.1, 0.5});
  double interaction = draws.Pick<double>({0.0, 0.1, 1.0});
  if (kind != "plain") training = interaction = 0;
  if (kind == "equal") shift = example = 0;
  std::vector<double> shared;
  for (int b = 0; b < resamples; ++b) shared.push_back(example * draws.Noise());
  for (int k = 0; k < replicates; ++k) {
    const double was = 20 + training * draws.Noise();
    const double value = was + shift + training * draws.Noise();
    loss.before.push_back({was, std::vector<double>(static_cast<size_t>(resamples), was)});
    LossSample& after = loss.after.emplace_back();
    for (const double of_resample : shared) {
      after.resampled.push_back(value + of_resample + interaction * draws.Noise());
    }
    after.value = kind == "nan" && k == 0 ? std::nan("") : value;
  }
  return loss;
}

Evidence DrawEvidence(uint64_t number) {
  Draws draws(number);
  const int replicates = draws.Pick<int>({2, 3, 5, 5, 5, 6, 8, 10});
  const int resamples = draws.Pick<int>({6, 10, 25});
  const int64_t examples = draws.Pick<int64_t>({2, 12, 200, 10000});
  const int losses = draws.Pick<int>({1, 2, 3, 5});
  Evidence evidence;
  for (int i = 0; i < losses; ++i) {
    evidence.losses.push_back(DrawLoss(draws, i, replicates, resamples, examples));
  }
  return evidence;
}

// draw_clustered of golden/verdict_reference.py; losses and counts as services make them.
Evidence DrawClustered(uint64_t number) {
  Draws draws(number);
  const int replicates = draws.Pick<int>({5, 5, 6, 8});
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(number);
  bootstrap.set_resample_count(draws.Pick<int>({12, 25, 40}));
  std::vector<size_t> sizes(draws.Pick<size_t>({3, 5, 8, 16}));
  for (size_t& size : sizes) size = draws.Pick<size_t>({1, 2, 5, 9});
  std::vector<size_t> cluster_of;
  std::vector<std::string> names;
  for (size_t turn = 0; turn < 9; ++turn) {
    for (size_t c = 0; c < sizes.size(); ++c) {
      if (sizes[c] <= turn) continue;
      cluster_of.push_back(c);
      names.push_back("drive " + std::to_string(c));
    }
  }
  const metrics::Resampling resampling(bootstrap, names);
  Evidence evidence;
  const int losses = draws.Pick<int>({1, 2, 3});
  for (int index = 0; index < losses; ++index) {
    LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = index == 0 ? "candidate" : "descendant";
    loss.loss = "loss-" + std::to_string(index);
    loss.candidate = index == 0;
    const double share = draws.Pick<double>({1.0, 0.7, 0.3});
    loss.margin = draws.Pick<double>({0.0, 0.25, 1.0});
    const double shift = draws.Pick<double>({-1.0, 0.0, 0.5, 1.0, 2.0});
    std::vector<double> scales, of_cluster, of_example, bears;
    for (int i = 0; i < 4; ++i) scales.push_back(draws.Pick<double>({0.05, 0.2, 1.0}));
    for (size_t c = 0; c < sizes.size(); ++c) of_cluster.push_back(scales[0] * draws.Noise());
    for (const size_t c : cluster_of) {
      of_example.push_back(of_cluster[c] + scales[1] * draws.Noise());
    }
    for (size_t i = 0; i < cluster_of.size(); ++i) {
      bears.push_back(draws.Uniform() < share ? 1 : 0);
    }
    const auto add = [&](const std::vector<double>& values, std::vector<LossSample>& samples) {
      std::vector<double> numerators;
      for (size_t i = 0; i < values.size(); ++i) numerators.push_back(bears[i] * values[i]);
      v1::Evaluation evaluation;
      metrics::AddRatioLoss(numerators, bears, resampling, loss.loss, "", true, evaluation);
      const v1::LossEstimate& estimate = evaluation.losses(0);
      samples.push_back(
          {estimate.value(), {estimate.resampled().begin(), estimate.resampled().end()}});
      loss.size = {resampling.example_count(), estimate.example_count(),
                   ClusterCounts{resampling.cluster_count(), estimate.cluster_count(),
                                 estimate.effective_cluster_count()}};
    };
    for (int k = 0; k < replicates; ++k) {
      const double was = 20 + scales[2] * draws.Noise();
      const double value = was + shift + scales[2] * draws.Noise();
      std::vector<double> values;
      for (const double one : of_example) values.push_back(value + one + scales[3] * draws.Noise());
      add(std::vector<double>(values.size(), was), loss.before);
      add(values, loss.after);
    }
  }
  return evidence;
}

void ExpectNumber(double got, double expected, const std::string& what) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": " << got;
  } else {
    EXPECT_NEAR(got, expected, 1e-9 * std::max(1.0, std::abs(expected))) << what;
  }
}

TEST(GoldenTest, VerdictsAreThoseOfAnotherImplementation) {
  std::ifstream file(BACKFIRE_GOLDEN_VERDICTS);
  int evidences = 0, losses = 0, simulated = 0;
  std::map<std::string, int> outcomes;
  std::map<std::string, v1::LossComparison> comparisons;
  std::string line, kind, where;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    words >> kind;
    if (kind == "evidence") {
      std::string outcome, blocks;
      uint64_t number = 0;
      words >> number >> outcome >> blocks;
      const v1::Verdict verdict =
          Decide(number < kFirstClustered ? DrawEvidence(number) : DrawClustered(number));
      EXPECT_EQ(v1::Verdict::Outcome_Name(verdict.outcome()), outcome) << line;
      EXPECT_EQ(Blocks(verdict), blocks == "blocks") << line;
      comparisons.clear();
      for (const auto& one : verdict.comparisons()) comparisons[one.loss()] = one;
      where = line;
      ++outcomes[outcome];
      ++evidences;
      continue;
    }
    std::string name;
    words >> name;
    const v1::LossComparison& one = comparisons[name];
    if (kind == "simulated") {
      double share = 0, error = 0;
      words >> share >> error;
      EXPECT_NEAR(one.p_worse(), share, 5 * error) << where << ", " << line;
      ++simulated;
      continue;
    }
    std::string outcome, number;
    words >> outcome;
    EXPECT_EQ(v1::LossComparison::Outcome_Name(one.outcome()), outcome) << where << ", " << line;
    for (const double got :
         {one.training_variance(), one.example_variance(), one.interaction_variance(),
          one.interval_low(), one.interval_high(), one.p_worse(), one.p_beyond(), one.p_within()}) {
      words >> number;
      ExpectNumber(got, std::stod(number), where + ", " + line + ": " + number);
    }
    ++outcomes[outcome];
    ++losses;
  }
  EXPECT_EQ(evidences, 240);
  EXPECT_GT(losses, 400);
  EXPECT_GE(simulated, 20);
  // All that can come out does.
  EXPECT_EQ(outcomes.size(), 9u);
}

}  // namespace
}  // namespace backfire::verdict
