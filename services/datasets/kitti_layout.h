#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datasets/dataset_uri.h"
#include "services/datasets/image_transform.h"
#include "services/runtime/dataset_access.h"

namespace backfire::datasets {

/// Lines of a text that are read between two looks at whether anybody still waits.
inline constexpr int kLinesBetweenLooks = 1024;

/// Where the ground truth of disparity comes from.
enum class DisparitySource {
  kAuto,   ///< disp_occ_0 of a frame that has it, else its scan.
  kFile,   ///< disp_occ_0.
  kLidar,  ///< velodyne.
};

/// A `kitti:` URI, read.
struct KittiOptions {
  std::filesystem::path directory;
  std::array<std::string, 3> lists = {"train", "val", "test"};  ///< By split.
  DisparitySource disparity = DisparitySource::kAuto;
  std::string clusters;  ///< As KittiClusters has it; empty: unknown.
  ImageTransform transform;
  double height_scale = 1;  ///< Of the evaluation of its objects.
};
/// INVALID_ARGUMENT: a parameter that isn't one, or a wrong value.
absl::StatusOr<KittiOptions> ParseKittiUri(const std::string& uri, const DatasetUri& parsed);

/// A frame's files.
enum class KittiFile {
  kLeft,
  kRight,
  kCalibration,
  kLabels,
  kDisparity,
  kVisibleDisparity,
  kLidar
};

/// Where a dataset's files are: KITTI's object layout, or that of KITTI 2015 (a frame is
/// `000000_10`, its calibration calib_cam_to_cam/000000.txt).
class KittiLayout {
 public:
  /// NOT_FOUND: no such directory, or neither image_2 nor training/image_2 in it.
  /// PERMISSION_DENIED: it, or its pictures, are outside of the roots of `access`.
  static absl::StatusOr<KittiLayout> Find(const std::filesystem::path& directory,
                                          const runtime::DatasetAccess& access);

  std::filesystem::path Path(KittiFile file, const std::string& id) const;
  bool stereo_2015() const { return stereo_2015_; }

  /// Names of frames of a split. `list` is the name of a file in ImageSets (without `.txt`); or
  /// `all`, or `FIRST-LAST`, which count the frames of image_2 in their order, from 0. Empty: none.
  /// NOT_FOUND: no such file, and none of the other forms. All faults in a file go to `faults`, or
  /// the first is returned if that is null. PERMISSION_DENIED, CANCELLED: as `access` says.
  absl::StatusOr<std::vector<std::string>> ReadList(const std::string& list,
                                                    std::vector<absl::Status>* faults,
                                                    const runtime::DatasetAccess& access) const;

 private:
  std::filesystem::path directory_, frames_;
  bool stereo_2015_ = false;
};

}  // namespace backfire::datasets
