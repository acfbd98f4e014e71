#include "services/vision/disparity_colours.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "services/vision/canvas.h"

namespace backfire::vision {

double DisplayRange(const cv::Mat& disparity) {
  std::vector<float> values;
  for (int y = 0; y < disparity.rows; ++y) {
    for (int x = 0; x < disparity.cols; ++x) {
      const float value = disparity.at<float>(y, x);
      if (value > 0 && std::isfinite(value)) values.push_back(value);
    }
  }
  if (values.empty()) return 5;
  const auto rank = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * 0.99);
  std::nth_element(values.begin(), rank, values.end());
  return std::max(5.0, 5 * std::ceil(*rank / 5.0));
}

cv::Mat ColourDisparity(const cv::Mat& disparity, double range) {
  cv::Mat levels(disparity.size(), CV_8UC1), missing(disparity.size(), CV_8UC1);
  for (int y = 0; y < disparity.rows; ++y) {
    for (int x = 0; x < disparity.cols; ++x) {
      const double value = disparity.at<float>(y, x);
      const bool match = value > 0;  // Not of NaN.
      missing.at<uchar>(y, x) = match ? 0 : 255;
      levels.at<uchar>(y, x) =
          match ? static_cast<uchar>(std::clamp(255 * value / range, 0.0, 255.0)) : uchar{0};
    }
  }
  cv::Mat colours;
  cv::applyColorMap(levels, colours, cv::COLORMAP_TURBO);
  cv::cvtColor(colours, colours, cv::COLOR_BGR2RGB);
  colours.setTo(cv::Scalar(0, 0, 0), missing);
  return colours;
}

cv::Mat DisparityLegend(double range, cv::Size size) {
  cv::Mat legend(size, CV_8UC3, Palette::Background());
  const int bar_height = 10, margin = 20;
  cv::Mat ramp(bar_height, size.width - 2 * margin, CV_32FC1);
  for (int x = 0; x < ramp.cols; ++x) {
    ramp.col(x).setTo(std::max(range * x / (ramp.cols - 1), 1e-3));
  }
  ColourDisparity(ramp, range).copyTo(legend(cv::Rect(margin, 2, ramp.cols, bar_height)));
  constexpr int kTicks = 5;
  for (int i = 0; i <= kTicks; ++i) {
    const int x = margin + i * (ramp.cols - 1) / kTicks;
    cv::line(legend, {x, bar_height + 2}, {x, bar_height + 6}, Palette::DimText());
    const std::string text = absl::StrFormat("%g px", range * i / kTicks);
    const cv::Size extent = TextSize(text, 0.4);
    const int left = std::clamp(x - extent.width / 2, 0, size.width - extent.width);
    DrawText(legend, text, {left, bar_height + 20}, Palette::DimText(), 0.4);
  }
  return legend;
}

}  // namespace backfire::vision
