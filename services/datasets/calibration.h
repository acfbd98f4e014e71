#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/tensor.h"

namespace backfire::datasets {

/// A 3x4 projection from rectified camera-0 coordinates (metres) to pixels, row-major.
using Projection = std::array<double, 12>;

/// Calibration of a rectified stereo pair at the resolution of its images.
struct StereoCalibration {
  Projection left{};   ///< KITTI's P2.
  Projection right{};  ///< KITTI's P3.

  double focal_length_px() const { return left[0]; }
  double centre_x_px() const { return left[2]; }
  double centre_y_px() const { return left[6]; }
  /// Distance between the optical centres, metres: (P2[0,3] - P3[0,3]) / f.
  double baseline_m() const { return (left[3] - right[3]) / left[0]; }
  /// Where the left camera stands in the rectified camera-0 frame: x_0 = x_left + this.
  double left_offset_x_m() const { return -left[3] / left[0]; }
  double left_offset_y_m() const { return -left[7] / left[5]; }
};

/// The calibration of images resized by these factors (pixel centres at half-integers, as OpenCV's
/// resize has them), then cropped so that (crop_left, crop_top) becomes (0, 0).
StereoCalibration ResizeAndCrop(const StereoCalibration& calibration, double scale_x,
                                double scale_y, double crop_left, double crop_top);

/// INVALID_ARGUMENT: focal length or baseline not > 0 or not finite.
absl::Status Validate(const StereoCalibration& calibration);

/// What is doubtful about a camera of images of this size, in words; empty: nothing. Such a
/// calibration is possible, of a crop, and most often another size's.
std::string Doubt(const Projection& camera, int columns, int rows);

/// FP64 [2, 3, 4]: left, then right projection; what a request carries.
runtime::Tensor ToTensor(const StereoCalibration& calibration);
/// INVALID_ARGUMENT: wrong datatype or shape, or Validate fails.
absl::StatusOr<StereoCalibration> CalibrationFromTensor(const runtime::Tensor& tensor);

/// Reads P2 and P3 from a KITTI calibration file. DATA_LOSS with file and line if malformed;
/// NOT_FOUND if there is no such file.
absl::StatusOr<StereoCalibration> ReadCalibration(const std::filesystem::path& path);
/// The text of such a file, with KITTI's other entries filled in for other programs' readers.
std::string FormatCalibration(const StereoCalibration& calibration);
absl::Status WriteCalibration(const std::filesystem::path& path,
                              const StereoCalibration& calibration);

}  // namespace backfire::datasets
