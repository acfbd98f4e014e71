#pragma once

#include <opencv2/core/mat.hpp>

namespace backfire::vision {

/// The disparity that pictures should saturate at: the 99th percentile of positive ones, rounded up
/// to a multiple of 5; 5 where there are none.
double DisplayRange(const cv::Mat& disparity);

/// CV_32FC1 disparities, pixels, as colours (CV_8UC3, RGB): blue is 0, red `range` and more, black
/// no match (<= 0 or NaN).
cv::Mat ColourDisparity(const cv::Mat& disparity, double range);

/// A colour bar for that, with ticks in pixels, [height, width].
cv::Mat DisparityLegend(double range, cv::Size size);

}  // namespace backfire::vision
