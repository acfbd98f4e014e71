#pragma once

#include <cmath>
#include <cstdint>

namespace backfire::disparity {

/// The depth z* where the depth and the disparity loss give a pixel the same weight relative to the
/// others, over pixels that are added: z* = sqrt(E[z^2]). The depth loss weights a pixel's
/// disparity error by z^2 / C, so the model that it trains should be better beyond z*, the other
/// one before.
class CrossoverDepth {
 public:
  explicit CrossoverDepth(double max_depth_m) : max_depth_m_(max_depth_m) {}

  /// @param disparity  [count] pixels; those with a depth in (0, max_depth_m] count.
  void Add(const float* disparity, int64_t count, double focal_times_baseline) {
    for (int64_t i = 0; i < count; ++i) {
      const double depth_m = focal_times_baseline / disparity[i];
      if (!(disparity[i] > 0) || depth_m > max_depth_m_) continue;
      squares_ += depth_m * depth_m;
      ++pixels_;
    }
  }
  /// Metres; NaN where nothing counted.
  double value_m() const { return std::sqrt(squares_ / static_cast<double>(pixels_)); }

 private:
  const double max_depth_m_;
  double squares_ = 0;
  int64_t pixels_ = 0;
};

}  // namespace backfire::disparity
