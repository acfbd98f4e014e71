#include "services/metrics/bootstrap.h"

#include <algorithm>
#include <cstddef>
#include <limits>

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

void AddRatioLoss(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const v1::Bootstrap& bootstrap, const std::string& loss, const std::string& slice,
                  bool judged, v1::Evaluation& evaluation) {
  v1::LossEstimate& estimate = *evaluation.add_losses();
  estimate.set_loss(loss);
  estimate.set_slice(slice);
  estimate.set_judged(judged);
  estimate.set_value(Ratio(numerators, denominators, std::vector<int32_t>(numerators.size(), 1)));
  estimate.set_example_count(std::count_if(denominators.begin(), denominators.end(),
                                           [](double denominator) { return denominator != 0; }));
  const auto examples = static_cast<int64_t>(numerators.size());
  for (int32_t b = 0; b < bootstrap.resample_count(); ++b) {
    estimate.add_resampled(
        Ratio(numerators, denominators, ResampleCounts(bootstrap.seed(), b, examples)));
  }
}

}  // namespace backfire::metrics
