#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datasets/calibration.h"

namespace backfire::datasets {

/// A rotation, row-major.
using Rotation = std::array<double, 9>;
/// A rigid motion, row-major 3x4: p_to = R p_from + t. Named `to_from_from`.
using RigidMotion = std::array<double, 12>;

/// Everything that a KITTI calibration file says. Frames: `velo` is the LiDAR, `imu` the inertial
/// unit, `cam0` the left gray camera, `rect` the same after rectification (in which labels are),
/// `image0` ... `image3` are pixels of gray left, gray right, colour left, colour right.
struct KittiCalibration {
  std::array<std::optional<Projection>, 4> image_from_rect;  ///< P0 ... P3.
  std::optional<Rotation> rect_from_cam0;                    ///< R0_rect.
  std::optional<RigidMotion> cam0_from_velo;                 ///< Tr_velo_to_cam.
  std::optional<RigidMotion> velo_from_imu;                  ///< Tr_imu_to_velo.

  /// The colour cameras. FAILED_PRECONDITION: P2 or P3 is missing.
  absl::StatusOr<StereoCalibration> Stereo() const;
  /// From the LiDAR to where labels are. FAILED_PRECONDITION: one of the two is missing.
  absl::StatusOr<RigidMotion> RectFromVelo() const;
};

/// Parses the object set's file (`P0:` ... `Tr_imu_to_velo:`) or KITTI 2015's calib_cam_to_cam
/// (`P_rect_00:` ..., `R_rect_00:`); lines of other names are skipped. `content` is text as
/// ReadTextFile gives it. All that is
/// wrong goes to `faults`, each with `where:LINE`; what is right is returned.
KittiCalibration ParseKittiCalibration(std::string_view content, std::string_view where,
                                       std::vector<absl::Status>& faults);

/// Reads such a file. NOT_FOUND; DATA_LOSS with file and line: the first fault.
absl::StatusOr<KittiCalibration> ReadKittiCalibration(const std::filesystem::path& path);

/// The text of an object-set file: all that is known, with KITTI's twelve digits.
std::string FormatKittiCalibration(const KittiCalibration& calibration);

/// A point moved to another frame.
std::array<double, 3> Transform(const RigidMotion& to_from_from,
                                const std::array<double, 3>& point);
/// Pixel coordinates and depth (the projection's third component) of a point.
std::array<double, 3> ProjectPoint(const Projection& projection,
                                   const std::array<double, 3>& point);

}  // namespace backfire::datasets
