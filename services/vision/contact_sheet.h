#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/datasets/calibration.h"
#include "services/metrics/object.h"

namespace backfire::vision {

/// One frame of a contact sheet.
struct SheetFrame {
  std::string name;
  std::string fault;  ///< Not empty: why it cannot be shown.
  cv::Mat left;       ///< CV_8UC3, RGB.
  std::vector<metrics::Object> labels;
  cv::Mat disparity;  ///< CV_32FC1, pixels of `left`; empty: unknown.
  datasets::StereoCalibration calibration;
};

/// Frames side by side in `columns` columns, 1280 pixels wide (CV_8UC3, RGB), each with its name
/// and the boxes of its labels; unless `plain`, with its disparity below, and beside both a
/// bird's-eye view of points and 3D boxes.
cv::Mat DrawContactSheet(const std::string& title, const std::vector<SheetFrame>& frames,
                         int columns, bool plain);

}  // namespace backfire::vision
