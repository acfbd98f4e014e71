#include "services/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>

namespace backfire::metrics {
namespace {

double Ratio(const std::vector<double>& numerators, const std::vector<double>& denominators,
             const std::vector<int32_t>& counts) {
  double numerator = 0, denominator = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    // Skipped, not multiplied by 0: an example that was not drawn must not make the rest NaN.
    if (counts[i] == 0) continue;
    numerator += counts[i] * numerators[i];
    denominator += counts[i] * denominators[i];
  }
  return denominator == 0 ? std::numeric_limits<double>::quiet_NaN() : numerator / denominator;
}

}  // namespace

Resampling::Resampling(const v1::Bootstrap& bootstrap, const std::vector<std::string>& clusters)
    : bootstrap_(bootstrap) {
  std::map<std::string, size_t> known;
  for (const std::string& cluster : clusters) {
    const auto next = static_cast<size_t>(drawn_);
    const size_t number = cluster.empty() ? next : known.emplace(cluster, next).first->second;
    if (number == next) ++drawn_;
    cluster_of_.push_back(number);
    named_ = named_ || !cluster.empty();
  }
}

Resampling::Resampling(const v1::Bootstrap& bootstrap, int64_t example_count)
    : bootstrap_(bootstrap),
      cluster_of_(static_cast<size_t>(example_count)),
      drawn_(example_count) {
  std::iota(cluster_of_.begin(), cluster_of_.end(), size_t{0});
}

std::vector<int32_t> Resampling::Counts(int32_t resample) const {
  const std::vector<int32_t> of_cluster = ResampleCounts(bootstrap_.seed(), resample, drawn_);
  std::vector<int32_t> counts;
  counts.reserve(cluster_of_.size());
  for (const size_t cluster : cluster_of_) counts.push_back(of_cluster[cluster]);
  return counts;
}

void Resampling::SetCounts(const std::vector<bool>& bears, v1::LossEstimate& estimate) const {
  estimate.set_example_count(std::count(bears.begin(), bears.end(), true));
  if (!named_) return;
  std::vector<double> of_cluster(static_cast<size_t>(drawn_), 0);
  for (size_t i = 0; i < bears.size(); ++i) of_cluster[cluster_of_[i]] += bears[i] ? 1 : 0;
  int64_t clusters = 0;
  double squares = 0, fourth_powers = 0;
  for (const double size : of_cluster) {
    clusters += size > 0 ? 1 : 0;
    squares += size * size;
    fourth_powers += std::pow(size, 4);
  }
  estimate.set_cluster_count(clusters);
  if (clusters > 0) estimate.set_effective_cluster_count(squares * squares / fourth_powers);
}

void AddRatioLoss(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const Resampling& resampling, const std::string& loss, const std::string& slice,
                  bool judged, v1::Evaluation& evaluation) {
  v1::LossEstimate& estimate = *evaluation.add_losses();
  estimate.set_loss(loss);
  estimate.set_slice(slice);
  estimate.set_judged(judged);
  estimate.set_value(Ratio(numerators, denominators, std::vector<int32_t>(numerators.size(), 1)));
  std::vector<bool> bears;
  for (const double denominator : denominators) bears.push_back(denominator != 0);
  resampling.SetCounts(bears, estimate);
  for (int32_t b = 0; b < resampling.resample_count(); ++b) {
    estimate.add_resampled(Ratio(numerators, denominators, resampling.Counts(b)));
  }
}

}  // namespace backfire::metrics
