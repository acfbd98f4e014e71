#include "services/metrics/disparity_error.h"

#include <cmath>

namespace backfire::metrics {

DisparityErrorSums SumDisparityErrors(const float* predicted, const float* truth,
                                      int64_t pixel_count, double focal_times_baseline) {
  constexpr double kBadPixels = 3, kBadFraction = 0.05;  // KITTI stereo 2015.
  DisparityErrorSums sums;
  for (int64_t i = 0; i < pixel_count; ++i) {
    const double expected = truth[i];
    if (!(expected > 0)) continue;  // Negated, so that NaN is not valid either.
    const double error = std::abs(predicted[i] - expected);
    const bool good = error <= kBadPixels || error <= kBadFraction * expected;
    const double depth_m = focal_times_baseline / expected;
    const double depth_error_m = std::abs(focal_times_baseline / predicted[i] - depth_m);
    const bool has_depth = !(predicted[i] <= 0);  // Negated, so that NaN stays in.
    for (size_t range = 0; range < kDepthRanges.size(); ++range) {
      if (depth_m < kDepthRanges[range].near_m || depth_m >= kDepthRanges[range].far_m) continue;
      sums.absolute_error_px[range] += error;
      sums.bad_pixels[range] += good ? 0 : 1;
      sums.pixels[range] += 1;
      if (!has_depth) continue;
      sums.depth_error_m[range] += depth_error_m;
      sums.predicted_pixels[range] += 1;
    }
  }
  return sums;
}

}  // namespace backfire::metrics
