#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/stereo_dataset.h"

namespace backfire::datasets {

/// What is done to every frame, in this order: cut out a window, then resize. Both images, the
/// disparity, the calibration and the 2D boxes go along; 3D boxes and scans are metric and stay.
struct ImageTransform {
  std::optional<cv::Size> crop;
  /// Of the window's upper left corner; without it the window is in the middle at the bottom, where
  /// the street is.
  std::optional<cv::Point> crop_origin;
  std::optional<cv::Size> size;

  bool IsIdentity() const { return !crop && !size; }
};

/// Takes `crop=WIDTHxHEIGHT[+X+Y]` or `size=WIDTHxHEIGHT`; returns false if `name` is neither.
/// INVALID_ARGUMENT: not of that form, or not 1 to 8192 pixels a side.
absl::StatusOr<bool> SetTransform(ImageTransform& transform, std::string_view name,
                                  std::string_view value);
/// As it would stand in a URI: `crop=1216x352&size=608x176`.
std::string FormatTransform(const ImageTransform& transform);

/// A transform for images of one size: the window, and the factors.
struct FrameTransform {
  cv::Rect window;
  cv::Size size;
  double scale_x() const { return static_cast<double>(size.width) / window.width; }
  double scale_y() const { return static_cast<double>(size.height) / window.height; }
};
/// INVALID_ARGUMENT: the window isn't within such an image.
absl::StatusOr<FrameTransform> TransformFor(const ImageTransform& transform, cv::Size image);

cv::Mat TransformImage(const FrameTransform& transform, const cv::Mat& rgb);
/// Takes the value nearest to each new pixel (an average over an edge would be neither side's
/// depth), and scales it.
cv::Mat TransformDisparity(const FrameTransform& transform, const cv::Mat& disparity);
StereoCalibration TransformCalibration(const FrameTransform& transform,
                                       const StereoCalibration& calibration);
/// Clips 2D boxes to the new image, and raises the truncation by what is cut off. What is outside
/// altogether is left out.
std::vector<metrics::Object> TransformLabels(const FrameTransform& transform,
                                             const std::vector<metrics::Object>& labels);

/// A dataset whose frames are transformed when they are read; its digest says so.
std::shared_ptr<const StereoDataset> TransformDataset(std::shared_ptr<const StereoDataset> dataset,
                                                      const ImageTransform& transform);

}  // namespace backfire::datasets
