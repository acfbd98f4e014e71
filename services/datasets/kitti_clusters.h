#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/dataset_access.h"

namespace backfire::datasets {

/// Which frames of a KITTI dataset are alike, as its URI's parameter `clusters` says:
///
/// `each`: none are, each frame is a cluster of its own.
///
/// A folder: `mapping/` of KITTI's object development kit. Line i of its train_mapping.txt is
/// `DATE DRIVE FRAME`; the k-th number of train_rand.txt (separated by commas, all from 1) is the
/// line of frame k - 1. A cluster is a drive.
///
/// A file: lines `FRAME CLUSTER`, names without spaces; empty lines and those that begin with `#`
/// are skipped.
///
/// Folder and file are looked for in the dataset's directory, unless their path is absolute.
class KittiClusters {
 public:
  /// NOT_FOUND: no such folder or file. All faults in a file go to `faults`, or the first is
  /// returned if that is null: DATA_LOSS. PERMISSION_DENIED, CANCELLED: as `access` says.
  static absl::StatusOr<KittiClusters> Read(const std::filesystem::path& directory,
                                            const std::string& parameter,
                                            std::vector<absl::Status>* faults,
                                            const runtime::DatasetAccess& access);

  /// NOT_FOUND: the file says nothing of this frame.
  absl::StatusOr<std::string> Of(const std::string& frame) const;

 private:
  std::string path_;  // Of the file; empty: each frame is its own.
  std::map<std::string, std::string> cluster_of_;
};

}  // namespace backfire::datasets
