#pragma once

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datasets/calibration.h"
#include "services/metrics/object.h"

namespace backfire::vision {

/// A rectified stereo pair, as it came from a camera.
struct StereoInput {
  cv::Mat left, right;  ///< CV_8UC3, RGB, of one size.
  datasets::StereoCalibration calibration;
};

/// Reads a pair and its KITTI calibration. NOT_FOUND; DATA_LOSS: not an image, a malformed
/// calibration (file and line), or images of different sizes.
absl::StatusOr<StereoInput> ReadStereoInput(const std::filesystem::path& left,
                                            const std::filesystem::path& right,
                                            const std::filesystem::path& calibration);

/// How an image was fitted into a network's input: pixel u became scale_x (u + 1/2) - 1/2 -
/// crop_left, and the same in y. Negative crops are borders.
struct Placement {
  double scale_x = 1, scale_y = 1;
  int crop_left = 0, crop_top = 0;
  cv::Size original, fitted;

  /// The part of the fitted image that shows the original.
  cv::Rect Content() const;
  /// Rows of the original that the fitted image does not show.
  int RowsLeftOut() const;
};

/// A pair of the size that a request should have.
struct FittedInput {
  StereoInput input;
  Placement placement;
};

/// Scales a pair to `size.width`, keeping its aspect, and crops or pads rows so that the horizon
/// (the principal point) comes to where the networks saw it in training, kHorizonFraction of the
/// height, as far as that loses no more rows than it must. Borders repeat the outermost row. The
/// calibration is adapted. INVALID_ARGUMENT: sides of `size` that aren't multiples of 16 in
/// [16, 4096] (the networks halve their input four times).
absl::StatusOr<FittedInput> FitStereoInput(const StereoInput& input, cv::Size size);
inline constexpr double kHorizonFraction = 0.45;

/// Maps a box of the fitted image to the original, clipped to its pixels.
metrics::Box2d ToOriginal(const metrics::Box2d& fitted, const Placement& placement);
/// Maps the 2D boxes of detections; their 3D boxes are metric, and stay.
void MapToOriginal(std::vector<metrics::Object>& detections, const Placement& placement);

}  // namespace backfire::vision
