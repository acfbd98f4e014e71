#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "absl/status/statusor.h"
#include "services/pointcloud/back_projection.h"

namespace backfire::pointcloud {

/// Reads a sweep of KITTI's LiDAR (`velodyne/NNNNNN.bin`) as the detectors have their points: x, y,
/// z in the rectified camera-0 frame (metres; right, down, forward), then reflectance, of each.
///   p_camera = R0_rect * Tr_velo_to_cam * p_velodyne
/// @param calibration  KITTI's calibration file, with these two matrices.
/// NOT_FOUND: no such file. DATA_LOSS, naming the file (and line): not whole points, a number that
/// is not finite, a malformed matrix. FAILED_PRECONDITION: a matrix is missing.
absl::StatusOr<std::vector<float>> ReadLidar(const std::filesystem::path& sweep,
                                             const std::filesystem::path& calibration);

/// Drops points that the limits leave out of a pseudo-LiDAR cloud: nearer, farther or higher.
/// @param points  [count, 4], as ReadLidar returns them; always drops what isn't before the camera.
std::vector<float> ApplyLimits(const std::vector<float>& points,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options);

}  // namespace backfire::pointcloud
