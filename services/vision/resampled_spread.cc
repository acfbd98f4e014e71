#include "services/vision/resampled_spread.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace backfire::vision {

ResampledSpread SpreadOf(std::vector<double> values) {
  values.erase(
      std::remove_if(values.begin(), values.end(), [](double value) { return std::isnan(value); }),
      values.end());
  if (values.size() < 2) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan, nan};
  }
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto quantile = [&values, count](double part) {
    const double at = part * (count - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {std::sqrt(squares / (count - 1)), quantile(0.025), quantile(0.975)};
}

}  // namespace backfire::vision
