#pragma once

namespace backfire::disparity {

/// Which error a training minimises (paper, section 4.1).
enum class LossKind {
  kDepth,            ///< Mean of |C/d - C/y| over the valid pixels: metres. The paper's u.
  kDisparity,        ///< Mean of |d - y|: pixels, the test loss itself. The paper's u'.
  kSmoothDisparity,  ///< Mean of smooth-L1(d - y), as PSMNet's authors have it.
};

}  // namespace backfire::disparity
