#pragma once

#include <cmath>
#include <cstdint>

#include "services/disparity/disparity_loss_rules.h"

namespace backfire::disparity {

/// The depth z* where the depth and the disparity loss give a pixel the same weight relative to the
/// others, over pixels that are added: z* = sqrt(E[z^2]). The depth loss weights a pixel's
/// disparity error by z^2 / C, so the model that it trains should be better beyond z*, the other
/// one before.
class CrossoverDepth {
 public:
  explicit CrossoverDepth(const LossRules& rules) : rules_(rules) {}

  /// @param disparity  [count] pixels; those count whose depth the rules supervise: a disparity in
  ///                   (0, max_disparity), and a depth of at most max_depth_m.
  void Add(const float* disparity, int64_t count, double focal_times_baseline) {
    for (int64_t i = 0; i < count; ++i) {
      const double depth_m = focal_times_baseline / disparity[i];
      const bool known = disparity[i] > 0 && disparity[i] < rules_.max_disparity;
      if (!known || depth_m > rules_.max_depth_m) continue;
      squares_ += depth_m * depth_m;
      ++pixels_;
    }
  }
  /// That counted.
  int64_t pixels() const { return pixels_; }
  /// Metres; NaN where nothing counted.
  double value_m() const { return std::sqrt(squares_ / static_cast<double>(pixels_)); }

 private:
  const LossRules rules_;
  double squares_ = 0;
  int64_t pixels_ = 0;
};

}  // namespace backfire::disparity
