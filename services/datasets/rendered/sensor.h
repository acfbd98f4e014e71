#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// What one camera's optics and sensor do to light.
struct Sensor {
  float gain = 1;        ///< Times the light.
  float blur = 0;        ///< Weight of each neighbour, along rows and along columns; 0 to 0.25.
  float vignetting = 0;  ///< Loss in the corners, relative.
  float noise = 0;       ///< Spread, grey levels.
  uint64_t seed = 0;     ///< Of the noise.
};

/// CV_8UC3, RGB, from linear light. The curve is a square root, under which the noise of photons is
/// the same for bright and dark.
/// @param image  [height * width]; used up.
cv::Mat Expose(std::vector<Rgb>& image, int width, int height, const Sensor& sensor);

/// Mean of the green light of an image.
double MeanLight(const std::vector<Rgb>& image);

}  // namespace backfire::datasets
