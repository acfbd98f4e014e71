#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::datasets {

/// Something that is wrong with a dataset.
struct DatasetFault {
  std::string file;     ///< Path; empty: the dataset as a whole.
  int line = 0;         ///< From 1; 0: the file as a whole.
  std::string message;  ///< What must hold, and what came; without file and line.
};

/// What a split holds.
struct SplitSummary {
  std::string name;  ///< train, validation or test.
  int64_t frames = 0, right_images = 0, disparities = 0, scans = 0, labelled = 0;
  std::map<std::string, int64_t> objects;  ///< Labels by type.
  std::map<std::string, int64_t> counted;  ///< Those that KITTI's evaluation counts at moderate.
  std::set<std::string> sizes;             ///< Of left images: `1242x375`.
};

struct DatasetReport {
  std::vector<DatasetFault> faults;    ///< In the order of splits and frames.
  std::vector<std::string> warnings;   ///< What is allowed, and may be a mistake.
  std::array<SplitSummary, 3> splits;  ///< Train, validation, test.
  std::string digest;                  ///< Empty if there are faults.
};

/// Reads everything that a dataset's URI names, and lists every fault: lists with frames that are
/// missing, twice, or in the training split and another; images that are cut off, of different
/// sizes or of the wrong depth; calibrations, labels and scans line by line, with values that make
/// no sense; files that the URI asks for (`disparity=file` or `lidar`, the LiDAR's place in the
/// calibration) and that are not there, or right images, labels and ground truth that only some
/// frames of a split have. What no frame of a split has is a warning, as are a class without a
/// label, a principal point outside of its image, or a scan that looks as if it had other columns.
/// INVALID_ARGUMENT: not a URI. NOT_FOUND: no such directory. CANCELLED: `cancelled` said so.
/// @param progress  Called after each frame with (frames done, frames in all).
absl::StatusOr<DatasetReport> CheckDataset(const std::string& uri,
                                           const std::function<void(int64_t, int64_t)>& progress,
                                           const std::function<bool()>& cancelled);

}  // namespace backfire::datasets
