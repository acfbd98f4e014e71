#pragma once

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datasets/kitti_calibration.h"

namespace backfire::datasets {

/// A return of the laser scanner, in its own frame: x forwards, y left, z up; metres.
struct LidarPoint {
  float x = 0, y = 0, z = 0;
  float reflectance = 0;  ///< 0 to 1.
};

/// Parses KITTI's velodyne/*.bin: four little-endian floats a point, no header. DATA_LOSS: a length
/// that is no multiple of 16, or a number that is not finite (the message has the point's index).
absl::StatusOr<std::vector<LidarPoint>> ParseLidar(std::string_view content,
                                                   std::string_view where);
/// Reads it. NOT_FOUND; DATA_LOSS. An empty file is an empty scan.
absl::StatusOr<std::vector<LidarPoint>> ReadLidar(const std::filesystem::path& path);
/// The bytes of such a file.
std::string FormatLidar(const std::vector<LidarPoint>& points);
/// Writes it, whole or not at all.
absl::Status WriteLidar(const std::filesystem::path& path, const std::vector<LidarPoint>& points);

/// Points of a scan in the rectified camera-0 frame. FAILED_PRECONDITION: the calibration lacks the
/// LiDAR's place.
absl::StatusOr<std::vector<cv::Point3d>> LidarInRect(const std::vector<LidarPoint>& scan,
                                                     const KittiCalibration& calibration);

/// Sparse ground truth from a scan: CV_32FC1, `size`, pixels of the left colour image, 0 where
/// unknown. Each point is projected into both cameras (so that the third row of P2 and P3, which
/// differs, counts), and rounded to a pixel of the left image; where several fall into one, the
/// nearest wins. The scanner stands elsewhere than the camera and sees past edges that hide things
/// from it: a point that is enclosed by clearly nearer ones (above and below, or left and right,
/// within a few pixels) is left out.
/// FAILED_PRECONDITION: the calibration lacks P2, P3 or the LiDAR's place.
absl::StatusOr<cv::Mat> DisparityFromLidar(const std::vector<LidarPoint>& scan,
                                           const KittiCalibration& calibration, cv::Size size);

}  // namespace backfire::datasets
