#pragma once

#include <cstdint>

namespace backfire::disparity {

/// What a training sees of its images at a step.
struct CropOptions {
  int64_t batch = 2;
  int64_t height = 96, width = 256;  ///< Pixels.
  double photometric = 0;            ///< Strength of the random changes of light, 0 none, 1 strong.
};

}  // namespace backfire::disparity
