#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/calibration.h"
#include "services/metrics/object.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {

/// A dataset of rectified stereo pairs. As requests, its examples carry `left` and `right`
/// (UINT8 [H, W, 3], RGB) and `calibration` (FP64 [2, 3, 4]). Thread-safe.
class StereoDataset : public runtime::Dataset {
 public:
  /// CV_8UC3, RGB.
  virtual absl::StatusOr<cv::Mat> LeftImage(runtime::Split split, int64_t example) const = 0;
  virtual absl::StatusOr<cv::Mat> RightImage(runtime::Split split, int64_t example) const = 0;
  virtual absl::StatusOr<StereoCalibration> Calibration(runtime::Split split,
                                                        int64_t example) const = 0;
  /// Ground truth: CV_32FC1, pixels of the left image; 0 where unknown.
  virtual absl::StatusOr<cv::Mat> Disparity(runtime::Split split, int64_t example) const = 0;
  /// Ground truth, in the file's order, DontCare included.
  virtual absl::StatusOr<std::vector<metrics::Object>> Labels(runtime::Split split,
                                                              int64_t example) const = 0;
};

/// Opens `kitti:{directory}[?train=NAME&validation=NAME&test=NAME]`: KITTI's object layout
/// (image_2, image_3, calib, label_2, and disp_occ_0 as in KITTI 2015), directly in the directory
/// or in its `training/`; splits are ImageSets/NAME.txt (by default train, val and test).
/// `validation=` is an empty split. Every frame must have image_2 and calib; the others, which real
/// KITTI lacks here and there, are NOT_FOUND when they are asked for and missing. The digest is
/// over the splits and over the content of all these files, wherever the directory is.
/// INVALID_ARGUMENT: not such a URI. NOT_FOUND, DATA_LOSS: a file is missing or malformed (the
/// message has file and line).
absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenStereoDataset(const std::string& uri);

/// UINT8 [H, W, 3] from a CV_8UC3 image, and back (sharing no memory).
runtime::Tensor ImageToTensor(const cv::Mat& rgb);
absl::StatusOr<cv::Mat> ImageFromTensor(const runtime::Tensor& tensor, const std::string& name);

}  // namespace backfire::datasets
