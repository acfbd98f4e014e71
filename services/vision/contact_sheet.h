#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::vision {

/// One small picture of a contact sheet.
struct SheetFrame {
  std::string name;
  cv::Mat left;  ///< CV_8UC3, RGB.
  std::vector<metrics::Object> labels;
};

/// Frames side by side in `columns` columns, 1280 pixels wide (CV_8UC3, RGB), each with its name
/// and the boxes of its labels.
cv::Mat DrawContactSheet(const std::string& title, const std::vector<SheetFrame>& frames,
                         int columns);

}  // namespace backfire::vision
