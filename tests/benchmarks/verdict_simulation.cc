#include "tests/benchmarks/verdict_simulation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

namespace backfire::benchmarks {
namespace {

constexpr double kLossBefore = 10;

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
    default:
      return random.Normal();
  }
}

// One model's detections on one test split, highest score first.
struct Detections {
  std::vector<int> example;
  std::vector<bool> hit;
};

// Area under precision over recall, in percent, at all recalls.
double PrecisionArea(const Detections& detections, const std::vector<int32_t>& counts,
                     const std::vector<int>& objects) {
  double labels = 0;
  for (size_t i = 0; i < counts.size(); ++i) labels += counts[i] * objects[i];
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

VerdictSimulation::VerdictSimulation(int examples, int resamples) : examples_(examples) {
  for (int b = 0; b < resamples; ++b) {
    counts_.push_back(metrics::ResampleCounts(/*seed=*/1, b, examples));
    std::vector<float>& weights = weights_.emplace_back();
    for (const int32_t count : counts_.back()) {
      weights.push_back(static_cast<float>(count) / static_cast<float>(examples));
    }
  }
}

verdict::Evidence VerdictSimulation::Draw(const SimulatedSystem& system, uint64_t seed) const {
  verdict::Evidence evidence;
  evidence.examples = examples_;
  verdict::LossEvidence candidate;
  candidate.vertex = "candidate";
  candidate.loss = "loss";
  candidate.candidate = true;
  const std::vector<double> before(counts_.size(), 1.0), after(counts_.size(), 0.5);
  candidate.before.assign(static_cast<size_t>(system.replicates), {1.0, before});
  candidate.after.assign(static_cast<size_t>(system.replicates), {0.5, after});
  evidence.losses.push_back(std::move(candidate));
  for (int d = 0; d < system.descendants; ++d) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = absl::StrCat("descendant-", d);
    loss.loss = "loss";
  }
  if (system.noise == Noise::kAveragePrecision) {
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
  const double root_examples = std::sqrt(static_cast<double>(examples_));
  const size_t replicates = static_cast<size_t>(system.replicates);
  std::vector<double> common_of_example, common_of_training;
  for (int i = 0; i < examples_; ++i) common_of_example.push_back(Centred(system.noise, random));
  for (size_t k = 0; k < 2 * replicates; ++k) {
    common_of_training.push_back(Centred(system.noise, random));
  }
  const double growth = system.noise_growth;
  const double true_error = std::sqrt(1 + std::pow(system.training_noise, 2) *
                                              (1 + growth * growth) / 2 / system.replicates);
  for (int d = 0; d < system.descendants; ++d) {
    // The test mean of what differs by example has standard deviation 1.
    std::vector<float> of_example;
    double test_mean = 0;
    for (int i = 0; i < examples_; ++i) {
      const double value =
          shared * common_of_example[static_cast<size_t>(i)] + own * Centred(system.noise, random);
      of_example.push_back(static_cast<float>(value * root_examples));
      test_mean += value * root_examples / examples_;
    }
    std::vector<double> resampled;
    for (const std::vector<float>& weights : weights_) {
      resampled.push_back(
          std::inner_product(weights.begin(), weights.end(), of_example.begin(), 0.0f));
    }
    verdict::LossEvidence& loss = evidence.losses[static_cast<size_t>(d) + 1];
    loss.margin = 2 * true_error;
    const double harm = d == 0 ? system.harm * true_error : 0;
    for (size_t k = 0; k < replicates; ++k) {
      const auto training = [&](size_t which) {
        return system.training_noise / std::sqrt(2.0) *
               (shared * common_of_training[which] + own * Centred(system.noise, random));
      };
      const double offset_before = kLossBefore + training(2 * k);
      const double offset_after = kLossBefore + harm + growth * training(2 * k + 1);
      loss.before.push_back({offset_before, std::vector<double>(weights_.size(), offset_before)});
      verdict::LossSample& after = loss.after.emplace_back();
      after.value = offset_after + test_mean;
      for (const double value : resampled) after.resampled.push_back(offset_after + value);
    }
  }
}

void VerdictSimulation::DrawPrecisions(const SimulatedSystem& system, uint64_t seed,
                                       verdict::Evidence& evidence) const {
  Random random(seed, 3);
  const std::vector<int32_t> once(static_cast<size_t>(examples_), 1);
  for (int d = 0; d < system.descendants; ++d) {
    std::vector<int> objects;
    std::vector<std::vector<double>> difficulty;  // Of each object, the same for all models.
    for (int i = 0; i < examples_; ++i) {
      objects.push_back(static_cast<int>(random.Below(4)));
      std::vector<double>& of_objects = difficulty.emplace_back();
      for (int o = 0; o < objects.back(); ++o) of_objects.push_back(random.Normal());
    }
    const auto model = [&](double quality) {
      std::vector<std::pair<double, std::pair<int, bool>>> scored;
      const double skill = quality + 0.1 * system.training_noise * random.Normal();
      for (int i = 0; i < examples_; ++i) {
        for (const double hard : difficulty[static_cast<size_t>(i)]) {
          const double score = skill - hard + 0.5 * random.Normal();
          if (score > 0) scored.push_back({score, {i, true}});
        }
        if (random.Uniform() < 0.5) {
          scored.push_back({std::abs(random.Normal()), {i, false}});
        }
      }
      std::sort(scored.begin(), scored.end(),
                [](const auto& a, const auto& b) { return a.first > b.first; });
      Detections detections;
      for (const auto& [score, detection] : scored) {
        detections.example.push_back(detection.first);
        detections.hit.push_back(detection.second);
      }
      verdict::LossSample sample;
      sample.value = -PrecisionArea(detections, once, objects);
      for (const std::vector<int32_t>& counts : counts_) {
        sample.resampled.push_back(-PrecisionArea(detections, counts, objects));
      }
      return sample;
    };
    verdict::LossEvidence& loss = evidence.losses[static_cast<size_t>(d) + 1];
    loss.unit = "percent";
    loss.margin = 3;
    // The difficulty is normal: around its middle a hundredth of recall is 0.028 of skill.
    const double quality = d == 0 ? 0.5 - 0.028 * system.harm : 0.5;
    for (int k = 0; k < system.replicates; ++k) {
      loss.before.push_back(model(0.5));
      loss.after.push_back(model(quality));
    }
  }
}

}  // namespace backfire::benchmarks
