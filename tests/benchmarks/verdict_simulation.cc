#include "tests/benchmarks/verdict_simulation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"

namespace backfire::benchmarks {
namespace {

constexpr double kLossBefore = 10;
constexpr double kSkill = 0.5;
// Of an average precision's skill, for a training_noise of 1.
constexpr double kTrainingSkill = 0.1;
// How far a candidate is from its margin, in true standard errors.
constexpr double kClearly = 6;

// A draw with mean 0 and variance 1, but for the heavy tail's 3.
double Centred(Noise noise, Random& random) {
  switch (noise) {
    case Noise::kSkewed: {
      // exp(z) has mean e^0.5 and variance (e - 1) e.
      const double e = std::exp(1.0);
      return (std::exp(random.Normal()) - std::sqrt(e)) / std::sqrt((e - 1) * e);
    }
    case Noise::kSkewedBetter:
      return -Centred(Noise::kSkewed, random);
    case Noise::kHeavy: {
      double squares = 0;
      const double normal = random.Normal();
      for (int i = 0; i < 3; ++i) squares += std::pow(random.Normal(), 2);
      return normal / std::sqrt(squares / 3) / std::sqrt(3.0);
    }
    case Noise::kErrors: {
      const double uniform = random.Uniform();
      return uniform < 0.05 ? -std::sqrt(10.0) : uniform < 0.1 ? std::sqrt(10.0) : 0;
    }
    default:
      return random.Normal();
  }
}

using Difficulties = std::vector<std::vector<double>>;

// One model's detections on one test split, highest score first.
struct Detections {
  std::vector<int> example;
  std::vector<bool> hit;
};

Detections Detect(const Difficulties& difficulties, double skill, Random& random) {
  std::vector<std::pair<double, std::pair<int, bool>>> scored;
  for (size_t i = 0; i < difficulties.size(); ++i) {
    for (const double hard : difficulties[i]) {
      const double score = skill - hard + 0.5 * random.Normal();
      if (score > 0) scored.push_back({score, {static_cast<int>(i), true}});
    }
    if (random.Uniform() < 0.5) {
      scored.push_back({std::abs(random.Normal()), {static_cast<int>(i), false}});
    }
  }
  std::sort(scored.begin(), scored.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  Detections detections;
  for (const auto& [score, detection] : scored) {
    detections.example.push_back(detection.first);
    detections.hit.push_back(detection.second);
  }
  return detections;
}

// Area under precision over recall, in percent, at all recalls.
double PrecisionArea(const Detections& detections, const std::vector<int32_t>& counts,
                     const Difficulties& objects) {
  double labels = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    labels += counts[i] * static_cast<double>(objects[i].size());
  }
  double hits = 0, all = 0, area = 0;
  for (size_t i = 0; i < detections.example.size(); ++i) {
    const double count = counts[static_cast<size_t>(detections.example[i])];
    all += count;
    if (!detections.hit[i] || count == 0) continue;
    hits += count;
    area += count * hits / all;
  }
  return labels > 0 ? 100 * area / labels : std::nan("");
}

}  // namespace

VerdictSimulation::VerdictSimulation(const SimulatedSplit& split) : examples_(split.examples) {
  double size = split.cluster;
  for (int cluster = 0; static_cast<int>(cluster_of_.size()) < examples_; ++cluster) {
    const int left = examples_ - static_cast<int>(cluster_of_.size());
    cluster_of_.insert(cluster_of_.end(), std::min(left, static_cast<int>(size)), cluster);
    size *= split.cluster_growth;
  }
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(1);
  bootstrap.set_resample_count(split.resamples);
  std::vector<std::string> names;
  for (const int cluster : cluster_of_) {
    names.push_back(split.clusters_named ? absl::StrCat(cluster) : "");
  }
  resampling_ = metrics::Resampling(bootstrap, names);
  for (int b = 0; b < split.resamples; ++b) {
    counts_.push_back(resampling_.Counts(b));
    std::vector<float>& weights = weights_.emplace_back();
    for (const int32_t count : counts_.back()) {
      weights.push_back(static_cast<float>(count) / static_cast<float>(examples_));
    }
  }
}

verdict::SampleSize VerdictSimulation::SizeOf(const std::vector<bool>& bears) const {
  v1::LossEstimate counts;
  resampling_.SetCounts(bears, counts);
  verdict::SampleSize size = {examples_, counts.example_count()};
  if (resampling_.cluster_count() > 0) {
    size.clusters = verdict::ClusterCounts{resampling_.cluster_count(), counts.cluster_count(),
                                           counts.effective_cluster_count()};
  }
  return size;
}

Difficulties VerdictSimulation::DrawDifficulties(double cluster_correlation, Random& random) const {
  Difficulties difficulties(static_cast<size_t>(examples_));
  double of_cluster = 0;
  for (size_t i = 0; i < difficulties.size(); ++i) {
    if (i == 0 || cluster_of_[i] != cluster_of_[i - 1]) of_cluster = random.Normal();
    difficulties[i].resize(static_cast<size_t>(random.Below(4)));
    for (double& difficulty : difficulties[i]) {
      difficulty = std::sqrt(cluster_correlation) * of_cluster +
                   std::sqrt(1 - cluster_correlation) * random.Normal();
    }
  }
  return difficulties;
}

verdict::Evidence VerdictSimulation::Draw(const SimulatedSystem& system, uint64_t seed) const {
  verdict::Evidence evidence;
  if (system.noise == Noise::kAveragePrecision) {
    SimulatedSystem candidate = system;
    candidate.noise = Noise::kNormal;
    candidate.descendants = 0;
    candidate.margin = 2;
    DrawMeans(candidate, seed, evidence);
    DrawPrecisions(system, seed, evidence);
  } else {
    DrawMeans(system, seed, evidence);
  }
  return evidence;
}

void VerdictSimulation::DrawMeans(const SimulatedSystem& system, uint64_t seed,
                                  verdict::Evidence& evidence) const {
  Random random(seed, 2);
  const double shared = std::sqrt(system.correlation), own = std::sqrt(1 - system.correlation);
  const int bearing = system.bearing == 0 ? examples_ : system.bearing;
  const double root_bearing = std::sqrt(static_cast<double>(bearing));
  const double of_cluster = std::sqrt(system.cluster_correlation);
  const double of_one = std::sqrt(1 - system.cluster_correlation);
  const size_t replicates = static_cast<size_t>(system.replicates);
  // Of the examples that bear upon the loss: their mean has standard deviation 1 where they are
  // independent. The others are drawn, and say nothing.
  const auto draw_examples = [&] {
    std::vector<float> values;
    double cluster = 0;
    for (int i = 0; i < bearing; ++i) {
      const auto at = static_cast<size_t>(i);
      const bool starts = i == 0 || cluster_of_[at] != cluster_of_[at - 1];
      if (starts) cluster = Centred(system.noise, random);
      values.push_back(static_cast<float>(
          (of_cluster * cluster + of_one * Centred(system.noise, random)) * root_bearing));
    }
    return values;
  };
  const auto mean_on = [&](const std::vector<float>& weights, const std::vector<float>& values) {
    const auto end = weights.begin() + bearing;
    const float sum = std::accumulate(weights.begin(), end, 0.0f);
    return std::inner_product(weights.begin(), end, values.begin(), 0.0f) / sum;
  };
  const std::vector<float> once(weights_[0].size(), 1.0f);
  const std::vector<float> common_of_example = draw_examples();
  std::vector<double> common_of_training;
  for (size_t k = 0; k < 2 * replicates; ++k) {
    common_of_training.push_back(Centred(system.noise, random));
  }
  const double growth = system.noise_growth;
  const double of_training = std::pow(system.training_noise, 2) * (1 + growth * growth) / 2;
  std::map<int, double> cluster_sizes;
  for (int i = 0; i < bearing; ++i) ++cluster_sizes[cluster_of_[static_cast<size_t>(i)]];
  double squares = 0;
  for (const auto& [cluster, size] : cluster_sizes) squares += size * size;
  const double clustered = 1 + (squares / bearing - 1) * system.cluster_correlation;
  std::vector<bool> bears(static_cast<size_t>(examples_), false);
  std::fill_n(bears.begin(), bearing, true);
  const double true_error =
      std::sqrt(clustered + (of_training + std::pow(system.interaction, 2)) / system.replicates);
  for (int d = -1; d < system.descendants; ++d) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = d < 0 ? "candidate" : absl::StrCat("descendant-", d);
    loss.loss = "loss";
    loss.candidate = d < 0;
    loss.size = SizeOf(bears);
    loss.margin = system.margin * true_error;
    double truth = d == 0 ? system.first * *loss.margin + system.harm * true_error
                          : system.others * *loss.margin;
    if (d < 0) {
      const double side = system.candidate == CandidateTruth::kBetter  ? -1
                          : system.candidate == CandidateTruth::kWorse ? 1
                                                                       : 0;
      truth = *loss.margin + side * kClearly * true_error;
      if (system.candidate == CandidateTruth::kNull) truth = 0;
    }
    std::vector<float> of_example = draw_examples();
    for (size_t i = 0; i < of_example.size(); ++i) {
      of_example[i] = static_cast<float>(shared * common_of_example[i] + own * of_example[i]);
    }
    const auto on_split_and_resamples = [&](const std::vector<float>& values) {
      verdict::LossSample sample;
      sample.value = mean_on(once, values);
      for (const std::vector<float>& weights : weights_) {
        sample.resampled.push_back(mean_on(weights, values));
      }
      return sample;
    };
    const verdict::LossSample of_examples = on_split_and_resamples(of_example);
    for (size_t k = 0; k < replicates; ++k) {
      verdict::LossSample together;
      if (system.interaction > 0) {
        std::vector<float> values = of_example;
        for (float& value : values) {
          value += static_cast<float>(system.interaction * root_bearing * random.Normal());
        }
        together = on_split_and_resamples(values);
      }
      const verdict::LossSample& sample = system.interaction > 0 ? together : of_examples;
      const auto training = [&](size_t which) {
        return system.training_noise / std::sqrt(2.0) *
               (shared * common_of_training[which] + own * Centred(system.noise, random));
      };
      const double offset_before = kLossBefore + training(2 * k);
      const double offset_after = kLossBefore + truth + growth * training(2 * k + 1);
      loss.before.push_back({offset_before, std::vector<double>(weights_.size(), offset_before)});
      verdict::LossSample& after = loss.after.emplace_back();
      after.value = offset_after + sample.value;
      for (const double value : sample.resampled) after.resampled.push_back(offset_after + value);
    }
  }
}

void VerdictSimulation::DrawPrecisions(const SimulatedSystem& system, uint64_t seed,
                                       verdict::Evidence& evidence) const {
  Random random(seed, 3);
  const std::vector<int32_t> once(static_cast<size_t>(examples_), 1);
  const double skill_of_point = SkillOfPoint(system);
  for (int d = 0; d < system.descendants; ++d) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = absl::StrCat("descendant-", d);
    loss.loss = "loss";
    loss.unit = "percent";
    loss.margin = system.margin;
    const Difficulties objects = DrawDifficulties(system.cluster_correlation, random);
    std::vector<bool> bears;
    for (const auto& of_example : objects) bears.push_back(!of_example.empty());
    loss.size = SizeOf(bears);
    const auto model = [&](double quality) {
      const double skill = quality + kTrainingSkill * system.training_noise * random.Normal();
      const Detections detections = Detect(objects, skill, random);
      verdict::LossSample sample;
      sample.value = -PrecisionArea(detections, once, objects);
      for (const std::vector<int32_t>& counts : counts_) {
        sample.resampled.push_back(-PrecisionArea(detections, counts, objects));
      }
      return sample;
    };
    for (int k = 0; k < system.replicates; ++k) {
      loss.before.push_back(model(kSkill));
      const double points =
          d == 0 ? system.first * system.margin + system.harm : system.others * system.margin;
      loss.after.push_back(model(kSkill - points * skill_of_point));
    }
  }
}

double VerdictSimulation::TrainingPoints(const SimulatedSystem& system) const {
  return kTrainingSkill * system.training_noise / SkillOfPoint(system);
}

double VerdictSimulation::SkillOfPoint(const SimulatedSystem& system) const {
  MutexLock lock(mutex_);
  const auto known = skill_of_point_.find(system.cluster_correlation);
  if (known != skill_of_point_.end()) return known->second;
  // Nearly linear over the few points of interest; the same objects and noise on both sides.
  constexpr int kSplits = 2000;
  constexpr double kStep = 0.06;
  double fall = 0;
  for (int i = 0; i < kSplits; ++i) {
    const auto precision = [&](double skill) {
      Random random(static_cast<uint64_t>(i), 5);
      const Difficulties objects = DrawDifficulties(system.cluster_correlation, random);
      const double trained = skill + kTrainingSkill * system.training_noise * random.Normal();
      return PrecisionArea(Detect(objects, trained, random),
                           std::vector<int32_t>(objects.size(), 1), objects);
    };
    fall += (precision(kSkill) - precision(kSkill - kStep)) / kSplits;
  }
  return skill_of_point_[system.cluster_correlation] = kStep / fall;
}

}  // namespace backfire::benchmarks
