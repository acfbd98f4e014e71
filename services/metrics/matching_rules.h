#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::metrics {

/// What is labelled and what was detected in one image, in file order.
struct ImageObjects {
  std::vector<Object> labels;
  std::vector<Object> detections;
};

/// In which view boxes overlap.
enum class View { kImage, kBirdsEye, k3d };

/// KITTI's difficulties: which labels count (height in the image, occlusion, truncation).
enum class Difficulty { kEasy, kModerate, kHard };

/// What a limit on depth does.
enum class RangeMode {
  /// KITTI's own rules hold. Labels outside the range are ignored (neither hit nor miss), and so
  /// are detections outside that match nothing. A detection without a 3D box (a proposal) has no
  /// depth: it is never outside.
  kIgnore,
  /// As the evaluator that the paper's authors released does it: labels, DontCare areas among them,
  /// and detections outside are dropped as if they were not in the files, and every label of the
  /// class that is left counts: difficulty, small detections included, plays no part.
  kDrop,
};

/// What an average precision is of.
struct AveragePrecisionOptions {
  std::string type = "Car";  ///< Case doesn't matter.
  View view = View::k3d;
  double iou_threshold = 0.7;  ///< A match needs an overlap strictly above it.
  Difficulty difficulty = Difficulty::kModerate;
  /// KITTI's least heights in the image (25 and 40 px) times this: for pictures of another
  /// resolution, where an object is as high at another depth.
  double height_scale = 1;
  int recall_points = 40;  ///< 40 (KITTI since October 2019) or 11.
  /// The range of camera depths: min_depth_m < z <= max_depth_m. 0 and none: no limit, as in KITTI;
  /// under kDrop 0 is a limit too.
  double min_depth_m = 0;
  std::optional<double> max_depth_m;
  RangeMode range_mode = RangeMode::kIgnore;
};

}  // namespace backfire::metrics
