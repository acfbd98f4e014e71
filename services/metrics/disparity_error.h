#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace backfire::metrics {

/// Ranges of ground-truth depth, metres, that Table 2 of the paper splits disparity errors by.
struct DepthRange {
  std::string_view slice;  ///< Empty: all.
  double near_m, far_m;    ///< near_m <= depth < far_m.
};
inline constexpr std::array<DepthRange, 4> kDepthRanges = {{{"", 0, 1e30},
                                                            {"depth_0_20_m", 0, 20},
                                                            {"depth_20_40_m", 20, 40},
                                                            {"depth_40_max_m", 40, 1e30}}};

/// Sums over the valid pixels of one image, by range, from which any mean follows. A prediction of
/// NaN is a bad pixel and makes the sums of errors NaN: it is not left out. One of 0 or less says
/// that there is no match: an error of the whole disparity, and no depth.
struct DisparityErrorSums {
  std::array<double, 4> absolute_error_px{};  ///< Sum of |predicted - true|.
  std::array<double, 4> bad_pixels{};         ///< Off by more than 3 px and 5 %: KITTI 2015's D1.
  std::array<double, 4> pixels{};             ///< Valid ones: true disparity > 0.
  std::array<double, 4> depth_error_m{};      ///< Sum of |f B / predicted - f B / true|.
  std::array<double, 4> predicted_pixels{};   ///< Those of `depth_error_m`: predicted > 0 as well.
};

/// @param predicted, truth  [pixel_count], pixels; truth <= 0 or NaN is not valid.
/// @param focal_times_baseline  Pixels times metres: depth = it / truth.
DisparityErrorSums SumDisparityErrors(const float* predicted, const float* truth,
                                      int64_t pixel_count, double focal_times_baseline);

}  // namespace backfire::metrics
