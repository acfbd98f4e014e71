#include "services/vision/disparity_of_points.h"

#include <algorithm>

namespace backfire::vision {

cv::Mat DisparityOfPoints(const std::vector<cv::Point3f>& points, cv::Size size,
                          const datasets::StereoCalibration& calibration) {
  constexpr int kCell = 3;
  cv::Mat map(std::max(1, size.height / kCell), std::max(1, size.width / kCell), CV_32FC1,
              cv::Scalar(0));
  for (const cv::Point3f& point : points) {
    if (!(point.z > 0)) continue;
    const double u = (point.x - calibration.left_offset_x_m()) * calibration.left[0] / point.z +
                     calibration.centre_x_px();
    const double v = (point.y - calibration.left_offset_y_m()) * calibration.left[5] / point.z +
                     calibration.centre_y_px();
    if (!(u >= 0 && v >= 0 && u < kCell * map.cols && v < kCell * map.rows)) continue;
    float& cell = map.at<float>(static_cast<int>(v) / kCell, static_cast<int>(u) / kCell);
    cell = std::max(cell, static_cast<float>(calibration.focal_length_px() *
                                             calibration.baseline_m() / point.z));
  }
  return map;
}

std::vector<cv::Point3f> PointsOfDisparity(const cv::Mat& disparity,
                                           const datasets::StereoCalibration& calibration) {
  const double f = calibration.focal_length_px();
  std::vector<cv::Point3f> points;
  for (int y = 0; y < disparity.rows; ++y) {
    for (int x = 0; x < disparity.cols; ++x) {
      const double value = disparity.at<float>(y, x);
      if (!(value > 0)) continue;
      const double z = f * calibration.baseline_m() / value;
      points.emplace_back(static_cast<float>((x - calibration.centre_x_px()) * z / f +
                                             calibration.left_offset_x_m()),
                          static_cast<float>((y - calibration.centre_y_px()) * z / f +
                                             calibration.left_offset_y_m()),
                          static_cast<float>(z));
    }
  }
  return points;
}

}  // namespace backfire::vision
