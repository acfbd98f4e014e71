#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/flips.pb.h"
#include "services/metrics/matching_rules.h"

namespace backfire::vision {

/// What detections get wrong in one frame, of one class.
struct FrameErrors {
  int64_t missed = 0;        ///< Labels that count and are not matched.
  int64_t false_alarms = 0;  ///< Detections that match nothing.
  int64_t sum() const { return missed + false_alarms; }
};

/// How they are counted: KITTI's matching seen from above, of moderate labels.
struct FlipRules {
  std::string type = "Car";
  double min_score = 0;  ///< Detections below it count for nothing.
  double least_overlap = 0.5;
  double height_scale = 1;  ///< Of the dataset: see metrics::AveragePrecisionOptions.
};

/// An average precision is no mean over frames, so no frame has a share in it. At one score it
/// comes down to counts, and these are of frames.
FrameErrors CountErrors(const metrics::ImageObjects& image, const FlipRules& rules);

/// A frame as both releases see it; labels are the same.
struct FlippedFrame {
  std::string example;
  metrics::ImageObjects before, after;
};

/// How many frames got worse and better, and at most `most` of those that got worse, worst first;
/// of equals in the frames' order. Without pictures.
/// @param worst  Positions in `frames` of the result's `worst`.
v1::ClassFlips CompareFrames(const std::vector<FlippedFrame>& frames, const FlipRules& rules,
                             size_t most, std::vector<size_t>& worst);

}  // namespace backfire::vision
