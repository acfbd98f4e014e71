#include "services/datasets/calibration.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/kitti_calibration.h"

namespace backfire::datasets {
namespace {

Projection ResizeAndCrop(const Projection& projection, double scale_x, double scale_y,
                         double crop_left, double crop_top) {
  // Pixel u covers [u, u + 1) of the image plane measured in half-integers: u' + 1/2 = s (u + 1/2).
  // The shift multiplies depth, which is the third row, not 1: P[2][3] isn't zero in KITTI.
  const double shift_x = 0.5 * scale_x - 0.5 - crop_left;
  const double shift_y = 0.5 * scale_y - 0.5 - crop_top;
  Projection result = projection;
  for (int column = 0; column < 4; ++column) {
    result[column] = scale_x * projection[column] + shift_x * projection[8 + column];
    result[4 + column] = scale_y * projection[4 + column] + shift_y * projection[8 + column];
  }
  return result;
}

// Numbers that a camera can have, as a rectified image needs them: no skew, a third row 0 0 1.
absl::Status CheckCamera(const Projection& projection) {
  for (const double value : projection) {
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("calibration: numbers must be finite: got ", value));
    }
  }
  if (!(projection[0] > 0) || !(projection[5] > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "calibration: focal lengths must be > 0 px: got ", projection[0], " and ", projection[5]));
  }
  constexpr double kZero = 1e-6;
  if (std::abs(projection[1]) > kZero * projection[0] ||
      std::abs(projection[4]) > kZero * projection[5] || std::abs(projection[8]) > kZero ||
      std::abs(projection[9]) > kZero || std::abs(projection[10] - 1) > kZero) {
    return absl::InvalidArgumentError(
        "calibration: a projection must be f 0 cx ., 0 f cy ., 0 0 1 .: rectify the pair first, "
        "and "
        "give the projections of the rectified images");
  }
  return absl::OkStatus();
}

// The depth of a disparity is f B / d only where both cameras have the same intrinsics.
absl::Status CheckRectified(const Projection& left, const Projection& right) {
  constexpr double kSameFocal = 1e-4;  // Relative; 0.06 px at the edge of KITTI's images.
  constexpr double kSamePx = 0.05;
  struct Pair {
    const char* name;
    size_t at;
    double tolerance;
  };
  for (const Pair& pair : {Pair{"f", 0, kSameFocal * left[0]}, Pair{"f_y", 5, kSameFocal * left[5]},
                           Pair{"cx", 2, kSamePx}, Pair{"cy", 6, kSamePx}}) {
    if (std::abs(left[pair.at] - right[pair.at]) <= pair.tolerance) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "calibration: the left and the right projection (P2 and P3) must have the same ", pair.name,
        ": got ", left[pair.at], " and ", right[pair.at],
        " px: not a rectified pair, or one without OpenCV's CALIB_ZERO_DISPARITY (shift the right "
        "image, and its projection, by the difference)"));
  }
  return absl::OkStatus();
}

}  // namespace

StereoCalibration ResizeAndCrop(const StereoCalibration& calibration, double scale_x,
                                double scale_y, double crop_left, double crop_top) {
  return {ResizeAndCrop(calibration.left, scale_x, scale_y, crop_left, crop_top),
          ResizeAndCrop(calibration.right, scale_x, scale_y, crop_left, crop_top)};
}

absl::Status Validate(const StereoCalibration& calibration) {
  BACKFIRE_RETURN_IF_ERROR(CheckCamera(calibration.left));
  BACKFIRE_RETURN_IF_ERROR(CheckCamera(calibration.right));
  BACKFIRE_RETURN_IF_ERROR(CheckRectified(calibration.left, calibration.right));
  if (!(calibration.baseline_m() > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration: the baseline, (left[0,3] - right[0,3]) / f, must be > 0 m: got ",
                     calibration.baseline_m(), " (left and right swapped?)"));
  }
  constexpr double kShortestM = 0.01, kLongestM = 100;
  if (calibration.baseline_m() < kShortestM || calibration.baseline_m() > kLongestM) {
    return absl::InvalidArgumentError(absl::StrCat(
        "calibration: the baseline, (left[0,3] - right[0,3]) / f, must be ", kShortestM, " to ",
        kLongestM, " m: got ", calibration.baseline_m(),
        " (the fourth column is in pixels times metres: is it in millimetres or kilometres?)"));
  }
  const double vertical_m = (calibration.left[7] - calibration.right[7]) / calibration.left[5];
  const double forward_m = calibration.right[11] - calibration.left[11];
  if (std::abs(vertical_m) > 0.1 * calibration.baseline_m() ||
      std::abs(forward_m) > 0.1 * calibration.baseline_m()) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration: the cameras must stand beside each other: got ",
                     calibration.baseline_m(), " m to the right, ", vertical_m, " m down, and ",
                     forward_m, " m forward: rectify the pair first"));
  }
  return absl::OkStatus();
}

std::string Doubt(const Projection& camera, int columns, int rows) {
  std::vector<std::string> doubts;
  if (!(camera[2] >= 0 && camera[2] < columns && camera[6] >= 0 && camera[6] < rows)) {
    doubts.push_back(absl::StrCat("P2's cx, cy (", camera[2], ", ", camera[6], ") is outside the ",
                                  columns, "x", rows,
                                  " image: is the calibration of another size of images?"));
  }
  // From a telephoto lens that sees 1 degree to what no flat image can show.
  const double widths = camera[0] / columns;
  if (widths < 0.05 || widths > 50) {
    doubts.push_back(absl::StrCat("P2's focal length (", camera[0], " px) is ", widths,
                                  " times the image's width: is it in pixels?"));
  }
  if (const double ratio = camera[0] / camera[5]; ratio < 0.8 || ratio > 1.25) {
    doubts.push_back(absl::StrCat("P2's focal lengths differ (", camera[0], " and ", camera[5],
                                  " px): was the image stretched, and not its calibration?"));
  }
  constexpr double kFarM = 10;
  const double offset_m = std::hypot(camera[3] / camera[0], camera[7] / camera[5], camera[11]);
  if (offset_m > kFarM) {
    doubts.push_back(
        absl::StrCat("P2's camera is ", offset_m, " m away from the origin of labels and scans"));
  }
  return absl::StrJoin(doubts, "; ");
}

runtime::Tensor ToTensor(const StereoCalibration& calibration) {
  runtime::Tensor tensor = runtime::MakeTensor(runtime::Datatype::kFp64, {2, 3, 4});
  std::memcpy(tensor.data.data(), calibration.left.data(), sizeof(Projection));
  std::memcpy(tensor.data.data() + sizeof(Projection), calibration.right.data(),
              sizeof(Projection));
  return tensor;
}

absl::StatusOr<StereoCalibration> CalibrationFromTensor(const runtime::Tensor& tensor) {
  if (tensor.datatype != runtime::Datatype::kFp64 ||
      tensor.shape != std::vector<int64_t>{2, 3, 4} ||
      tensor.data.size() != 2 * sizeof(Projection)) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration must be FP64 [2, 3, 4] (left, then right projection): got ",
                     std::string(runtime::DatatypeName(tensor.datatype)), " of rank ",
                     tensor.shape.size(), " and ", tensor.data.size(), " bytes"));
  }
  StereoCalibration calibration;
  std::memcpy(calibration.left.data(), tensor.data.data(), sizeof(Projection));
  std::memcpy(calibration.right.data(), tensor.data.data() + sizeof(Projection),
              sizeof(Projection));
  BACKFIRE_RETURN_IF_ERROR(Validate(calibration));
  return calibration;
}

absl::StatusOr<StereoCalibration> ReadCalibration(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const KittiCalibration calibration, ReadKittiCalibration(path));
  return calibration.Stereo();
}

std::string FormatCalibration(const StereoCalibration& calibration) {
  // KITTI's other cameras and sensors, so that other programs' readers find what they expect: gray
  // cameras at camera 0 and a baseline beside it, and a LiDAR at camera 0.
  KittiCalibration everything;
  Projection gray_left = calibration.left;
  gray_left[3] = gray_left[7] = gray_left[11] = 0;
  Projection gray_right = gray_left;
  gray_right[3] = -calibration.focal_length_px() * calibration.baseline_m();
  everything.image_from_rect = {gray_left, gray_right, calibration.left, calibration.right};
  everything.rect_from_cam0 = Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  everything.cam0_from_velo = RigidMotion{0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0};
  everything.velo_from_imu = RigidMotion{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  return FormatKittiCalibration(everything);
}

absl::Status WriteCalibration(const std::filesystem::path& path,
                              const StereoCalibration& calibration) {
  return WriteFileAtomically(path, FormatCalibration(calibration));
}

}  // namespace backfire::datasets
