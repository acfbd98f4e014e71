#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/metrics/kitti_evaluation.h"

namespace backfire::vision {

/// One class in one view at one difficulty, evaluated.
struct KittiCell {
  std::string slice;  ///< Empty: all depths; else "depth_0_20_m" and the like.
  metrics::AveragePrecisionOptions rules;
  metrics::PrecisionRecall result;
  std::vector<metrics::KittiAverages> resampled;  ///< By bootstrap resample; may be empty.
};

/// A whole evaluation of detections.
struct KittiReport {
  int64_t frames = 0;
  uint64_t bootstrap_seed = 0;
  std::vector<KittiCell> cells;   ///< As KittiRules orders them.
  std::vector<KittiCell> slices;  ///< The same for each slice of depth, one after the other.
};

/// "image", "bev" or "3d"; "easy", "moderate" or "hard".
std::string_view MetricName(metrics::View view);
std::string_view DifficultyName(metrics::Difficulty difficulty);

/// The averages as a table for people, with notes where a number misleads.
std::string FormatKittiTable(const KittiReport& report);
/// All numbers. Each entry of `results` has `class`, `metric`, `difficulty`, `min_overlap`,
/// `evaluated`, and if that is true `n_ground_truth`, `thresholds`, `tp`, `fp`, `fn`, `precision`,
/// `ap11`, `ap40`, and with orientation `aos`, `aos11`, `aos40`.
std::string FormatKittiJson(const KittiReport& report);

}  // namespace backfire::vision
