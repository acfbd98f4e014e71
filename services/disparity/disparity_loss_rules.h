#pragma once

namespace backfire::disparity {

/// Which error a training minimises (paper, section 4.1).
enum class LossKind {
  kDepth,            ///< Mean of |C/d - C/y| over the supervised pixels: metres. The paper's u.
  kDisparity,        ///< Mean of |d - y|: pixels, the test loss itself. The paper's u'.
  kSmoothDisparity,  ///< Mean of smooth-L1(d - y), beta 1 px, as PSMNet's authors have it.
  kSmoothDepth,      ///< Mean of smooth-L1(C/d - C/y), beta 1 m, as the paper's authors have it.
};

/// A loss, and which pixels it looks at: those with a true disparity in (0, max_disparity).
struct LossRules {
  LossKind kind = LossKind::kDisparity;
  double max_depth_m = 80;     ///< Depths are learnt up to here, as LiDAR sees them.
  double max_disparity = 1e9;  ///< Pixels.
  /// Of a pixel beyond max_depth_m, a sky, relative to the others: it teaches that it is no nearer
  /// than max_depth_m, and nothing else. 0: it teaches nothing.
  double far_weight = 0;
};

}  // namespace backfire::disparity
