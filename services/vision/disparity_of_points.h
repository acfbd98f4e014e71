#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

#include "services/datasets/calibration.h"

namespace backfire::vision {

/// The disparity that the left camera would have of these points (metres, camera 0): CV_32FC1, in
/// pixels of an image of `size`, at a third of its resolution so that single points are seen; the
/// nearest of each cell, 0 where there is none.
cv::Mat DisparityOfPoints(const std::vector<cv::Point3f>& points, cv::Size size,
                          const datasets::StereoCalibration& calibration);

/// Points (metres, camera 0) of known disparity: CV_32FC1, pixels, > 0 where known.
std::vector<cv::Point3f> PointsOfDisparity(const cv::Mat& disparity,
                                           const datasets::StereoCalibration& calibration);

}  // namespace backfire::vision
