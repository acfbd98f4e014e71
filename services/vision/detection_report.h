#pragma once

#include <string>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::vision {

/// Detections of one release, in original image coordinates.
struct ReleaseDetections {
  std::string release;
  std::vector<metrics::Object> detections;
};

/// A table for people: one row per detection with at least `min_score`, and a line that says how
/// many were left out.
std::string FormatDetectionTable(const std::vector<ReleaseDetections>& releases, double min_score);

/// All detections as one JSON object: {"releases": [{"release", "detections": [{"type", "score",
/// "box_2d": {...}, "box_3d": {...}, "alpha"}]}]}; units as in KITTI.
std::string FormatDetectionJson(const std::vector<ReleaseDetections>& releases);

}  // namespace backfire::vision
