#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/calibration.h"
#include "services/metrics/object.h"
#include "services/runtime/dataset.h"
#include "services/runtime/dataset_access.h"

namespace backfire::datasets {

/// A dataset of rectified stereo pairs. As requests, its examples carry `left` and `right`
/// (UINT8 [H, W, 3], RGB) and `calibration` (FP64 [2, 3, 4]). What a frame lacks (real KITTI has no
/// labels for its test set) is NOT_FOUND when it is asked for. Thread-safe.
class StereoDataset : public runtime::Dataset {
 public:
  /// The tensors `left`, `right` and `calibration`.
  absl::StatusOr<runtime::TensorMap> RequestInputs(
      runtime::Split split, int64_t example, const std::vector<std::string>& names) const override;

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
  /// Disparity where the right camera sees the point, too (KITTI 2015's disp_noc_0).
  virtual absl::StatusOr<cv::Mat> VisibleDisparity(runtime::Split split, int64_t example) const;
  /// The laser scan, in the rectified camera-0 frame, metres.
  virtual absl::StatusOr<std::vector<cv::Point3d>> LidarPoints(runtime::Split split,
                                                               int64_t example) const;
  /// What KITTI's evaluation multiplies its least heights by: parameter `height_scale` of the URI.
  virtual double height_scale() const { return 1; }
  /// Of the left image, without reading all of it where that can be avoided.
  virtual absl::StatusOr<cv::Size> ImageSize(runtime::Split split, int64_t example) const;

 protected:
  /// INVALID_ARGUMENT: the split has no such example.
  absl::Status CheckExample(runtime::Split split, int64_t example) const;
};

/// Opens a dataset by its URI:
///
/// `kitti:DIRECTORY[?train=NAME&validation=NAME&test=NAME&disparity=SOURCE&clusters=PATH&...]`:
/// KITTI's object layout (image_2, image_3, calib, label_2, velodyne, and disp_occ_0 as in KITTI
/// 2015), or KITTI 2015's stereo layout (`000000_10.png`), directly in the directory or in its
/// `training/`. Splits are ImageSets/NAME.txt (by default train, val and test), `all`, or
/// `FIRST-LAST`, which count frames from 0; `validation=` is an empty split. Ground-truth disparity
/// comes from disp_occ_0, else from the scan (`disparity=file` or `lidar`: only from there).
/// `clusters` says which frames are alike: see kitti_clusters.h; without it none are known to be,
/// and verdicts that count them as independent are too sure. `crop=WxH+X+Y` and `size=WxH` cut out
/// and resize: see image_transform.h. Every frame must have image_2 and (but for
/// KITTI 2015) calib. The digest is over the splits, the clusters, and the content of all files
/// that are used, wherever the directory is.
///
/// `rendered:PROFILE[?frames=600&validation=60&test=320&seed=1&PARAMETER=VALUE...]`: the rendered
/// world (rendered_world.h), drawn when it is asked for; `frames` is the size of the training
/// split, parameters are those of render_profile.h. The digest is over all of these.
///
/// `height_scale=NUMBER` of either: KITTI's evaluation counts objects at least 25 px high (easy:
/// 40), which is a depth, and another one in pictures of another resolution. The least heights are
/// multiplied by it, to count as far as KITTI does: 0.55 at a focal length of 400 px.
///
/// INVALID_ARGUMENT: not such a URI. NOT_FOUND, DATA_LOSS: a file is missing or malformed (the
/// message has file and line). PERMISSION_DENIED, CANCELLED: as `access` says.
absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenStereoDataset(
    const std::string& uri, const runtime::DatasetAccess& access);

/// UINT8 [H, W, 3] from a CV_8UC3 image, and back (sharing no memory).
runtime::Tensor ImageToTensor(const cv::Mat& rgb);
absl::StatusOr<cv::Mat> ImageFromTensor(const runtime::Tensor& tensor, const std::string& name);

}  // namespace backfire::datasets
