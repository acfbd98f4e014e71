#pragma once

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/datasets/calibration.h"
#include "services/metrics/object.h"

namespace backfire::datasets {

/// A rectified stereo pair with everything that is known about it.
struct StereoFrame {
  cv::Mat left, right;  ///< CV_8UC3, RGB, of one size.
  StereoCalibration calibration;
  std::vector<metrics::Object> labels;
  cv::Mat disparity;          ///< CV_32FC1, pixels of the left image; 0 where unknown.
  cv::Mat visible_disparity;  ///< The same, 0 also where the right camera doesn't see the point.
};

/// Writes a frame in KITTI's layout: image_2, image_3, calib, label_2 and, as in KITTI 2015,
/// disp_occ_0 and disp_noc_0 (16-bit PNG, pixels times 256, so disparities are exact to 1/512 px).
/// The folders must exist (MakeKittiFolders). Not atomic: the caller publishes the whole directory.
absl::Status WriteKittiFrame(const std::filesystem::path& directory, const std::string& id,
                             const StereoFrame& frame);
/// Makes `directory` with the folders of a frame's files.
absl::Status MakeKittiFolders(const std::filesystem::path& directory);

}  // namespace backfire::datasets
