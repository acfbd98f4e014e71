#pragma once

#include <cstdint>
#include <vector>

#include "services/metrics/object.h"

namespace backfire::vision {

/// What was found in a frame, and what is there.
struct JudgedFrame {
  std::vector<metrics::Object> detections;  ///< With scores.
  std::vector<metrics::Object> labels;  ///< KITTI's; types that nothing detects count for nothing.
};

/// A least score for detections that are shown, and what it gives on the frames it was chosen on.
struct ScoreChoice {
  double score = 0;
  double f1 = 0;  ///< 2 TP / (2 TP + FP + FN), in [0, 1].
  int64_t frames = 0;
};

/// The score from which on detections have the best F1 on these frames; of equal ones the lowest. A
/// detection is right if a label of its type, in its frame, that no surer one has taken overlaps it
/// by half or more, seen from above. Labels are those of the types that are detected at all, at
/// least 25 px high and at most partly occluded (KITTI's "moderate"). Without a right detection:
/// score 0, F1 0.
ScoreChoice ChooseScore(const std::vector<JudgedFrame>& frames);

}  // namespace backfire::vision
