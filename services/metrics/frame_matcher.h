#pragma once

#include <cstdint>
#include <vector>

#include "services/metrics/frame_overlaps.h"
#include "services/metrics/matching_rules.h"

namespace backfire::metrics {

/// What matching changes in one image when the score threshold falls to `score`.
struct MatchStep {
  double score;
  int32_t hits, false_positives, misses;
  double similarity;  ///< Sum over hits of (1 + cos(alpha difference)) / 2; only in the image.
};

/// All that one image contributes to an average precision, at any threshold.
struct FrameMatches {
  int32_t label_count = 0;         ///< Labels that count; all of them missed before the first step.
  bool usable = false;             ///< Some detection makes the class count as detected at all.
  bool oriented = true;            ///< No detection, of any class, has an alpha of exactly -10.
  std::vector<double> hit_scores;  ///< Of pass one, which chooses the thresholds; in label order.
  std::vector<MatchStep> steps;    ///< Of pass two, which counts; by falling score.
};

/// Matches one image's labels and detections as KITTI's evaluator does, in its two passes.
/// @param overlaps  Of this image, with options.view computed.
/// Thread-safe.
void MatchFrame(const ImageObjects& image, const FrameOverlaps& overlaps,
                const AveragePrecisionOptions& options, FrameMatches& matches);

}  // namespace backfire::metrics
