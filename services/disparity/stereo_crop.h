#pragma once

#include <cstdint>

namespace backfire::disparity {

/// What a training sees of its images at a step.
struct CropOptions {
  int64_t batch = 2;
  int64_t height = 96, width = 256;  ///< Pixels.
  double photometric = 0;            ///< Strength of the random changes of light, 0 none, 1 strong.
  /// Strength of the random changes of geometry: a zoom of both images, which scales disparity and
  /// focal length with it, and a vertical misalignment of the right one. 0 none, 1 strong.
  double geometric = 0;
  /// Probability that a patch of the right image is hidden, so that a network learns to go by what
  /// surrounds it.
  double occlusion = 0;
};

}  // namespace backfire::disparity
