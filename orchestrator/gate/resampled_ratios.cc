#include "orchestrator/gate/resampled_ratios.h"

#include <array>
#include <limits>

#include "services/base/resampling.h"

namespace backfire::gate {
namespace {

// Columns that are summed at once: their sums stay in registers.
constexpr size_t kLanes = 8;

// Up to kLanes columns, example by example; lanes that are left over hold zeros.
using Row = std::array<double, kLanes>;

std::vector<std::vector<Row>> Interleave(const std::vector<std::vector<double>>& columns,
                                         size_t n) {
  std::vector<std::vector<Row>> blocks((columns.size() + kLanes - 1) / kLanes,
                                       std::vector<Row>(n, Row{}));
  for (size_t c = 0; c < columns.size(); ++c) {
    std::vector<Row>& block = blocks[c / kLanes];
    for (size_t i = 0; i < n; ++i) block[i][c % kLanes] = columns[c][i];
  }
  return blocks;
}

// Each lane is summed in the order of the examples, so that no sum depends on its neighbours. An
// example that was not drawn adds 0, which leaves a finite sum as it is.
void WeightedSums(const std::vector<std::vector<Row>>& blocks, const std::vector<double>& weights,
                  std::vector<double>& sums) {
  for (size_t b = 0; b < blocks.size(); ++b) {
    Row sum{};
    const Row* rows = blocks[b].data();
    for (size_t i = 0; i < weights.size(); ++i) {
      const double weight = weights[i];
      for (size_t lane = 0; lane < kLanes; ++lane) sum[lane] += weight * rows[i][lane];
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      if (b * kLanes + lane < sums.size()) sums[b * kLanes + lane] = sum[lane];
    }
  }
}

}  // namespace

std::vector<verdict::LossSample> ResampledRatios(const RatioColumns& columns,
                                                 const v1::Bootstrap& bootstrap) {
  const auto n = static_cast<size_t>(columns.examples);
  const auto numerators = Interleave(columns.numerators, n);
  const auto denominators = Interleave(columns.denominators, n);
  std::vector<double> above(columns.numerators.size()), below(columns.denominators.size());
  const auto ratio = [&](size_t c) {
    // Ones sum to how many are drawn.
    const double by = below.empty() ? static_cast<double>(n) : below[below.size() == 1 ? 0 : c];
    return by == 0 ? std::numeric_limits<double>::quiet_NaN() : above[c] / by;
  };
  std::vector<verdict::LossSample> samples(columns.numerators.size());
  std::vector<double> weights(n, 1);
  WeightedSums(numerators, weights, above);
  WeightedSums(denominators, weights, below);
  for (size_t c = 0; c < samples.size(); ++c) {
    samples[c].value = ratio(c);
    samples[c].resampled.reserve(static_cast<size_t>(bootstrap.resample_count()));
  }
  for (int32_t b = 0; b < bootstrap.resample_count(); ++b) {
    const std::vector<int32_t> counts = ResampleCounts(bootstrap.seed(), b, columns.examples);
    for (size_t i = 0; i < n; ++i) weights[i] = counts[i];
    WeightedSums(numerators, weights, above);
    WeightedSums(denominators, weights, below);
    for (size_t c = 0; c < samples.size(); ++c) samples[c].resampled.push_back(ratio(c));
  }
  return samples;
}

}  // namespace backfire::gate
