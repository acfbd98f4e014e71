#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::vision {

/// Boxes of one colour.
struct BoxLayer {
  const std::vector<metrics::Object>* objects = nullptr;
  cv::Scalar colour;
  int thickness = 2;
  bool with_score = true;
  bool with_label = true;  ///< In pictures too small for text: false.
};

/// Draws 2D boxes, given in pixels of the image before it was scaled by `scale`, with labels that
/// don't cover each other. DontCare areas are thin and grey.
void DrawBoxes(cv::Mat& image, double scale, const std::vector<BoxLayer>& layers);

}  // namespace backfire::vision
