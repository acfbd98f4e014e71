#pragma once

#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "services/datasets/calibration.h"
#include "services/metrics/object.h"

namespace backfire::vision {

/// What one release says of a frame, or what is known of it.
struct PageLayer {
  std::string name;   ///< `release 3`.
  cv::Mat disparity;  ///< CV_32FC1 of the left image (at any resolution), in pixels of it.
  /// Its rows that are of what was sent; the others were not, which is no want of a match.
  cv::Range sent_rows = cv::Range::all();
  std::vector<cv::Point3f> points;          ///< Metres, camera 0.
  std::vector<metrics::Object> detections;  ///< In pixels of the left image.
};

/// A frame with everything that is shown of it.
struct PageContent {
  std::string title;
  cv::Mat left;  ///< CV_8UC3, RGB.
  datasets::StereoCalibration calibration;
  std::optional<std::vector<metrics::Object>> labels;  ///< Ground truth.
  std::vector<PageLayer> layers;                       ///< 1 to 4.
};

/// One picture (CV_8UC3, RGB): the left image with boxes, disparities in colour, and one bird's-eye
/// view per layer, side by side, each with the ground truth; with titles, legend and scales.
cv::Mat DrawPage(const PageContent& content);

}  // namespace backfire::vision
