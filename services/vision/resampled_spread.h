#pragma once

#include <vector>

namespace backfire::vision {

/// How far a number moves when the examples are drawn again.
struct ResampledSpread {
  double standard_error = 0;
  double low = 0, high = 0;  ///< The middle 95 % of resamples.
};

/// NaN values (undefined on a resample) are left out; all NaN if fewer than two are left.
ResampledSpread SpreadOf(std::vector<double> values);

}  // namespace backfire::vision
