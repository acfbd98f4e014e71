#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "services/metrics/matching_rules.h"

namespace backfire::metrics {

/// How the labels and detections of one image overlap, computed once for all classes, difficulties,
/// limits and score thresholds. Keeps no reference to the image. Thread-compatible.
class FrameOverlaps {
 public:
  /// A label and a detection that have something in common.
  struct Pair {
    int32_t label, detection;  ///< Indices in the image.
    double overlap;            ///< Intersection over union, > 0.
  };
  /// The part of a detection that a DontCare area covers.
  struct Cover {
    int32_t area, detection;  ///< Indices in the image: of a label, of a detection.
    double fraction;          ///< > 0.
  };

  /// Computes what the given views need, reusing memory.
  void Compute(const ImageObjects& image, const std::array<bool, 3>& views);

  /// By label, then by detection, in file order.
  const std::vector<Pair>& pairs(View view) const { return pairs_[static_cast<size_t>(view)]; }
  const std::vector<Cover>& covers(View view) const { return covers_[static_cast<size_t>(view)]; }
  /// Detections by falling score; equal ones, and those without a score at the end, in file order.
  /// NaN scores are left out.
  const std::vector<int32_t>& by_score() const { return by_score_; }

 private:
  std::array<std::vector<Pair>, 3> pairs_;
  std::array<std::vector<Cover>, 3> covers_;
  std::vector<int32_t> by_score_;
};

/// A detection's score; minus infinity if it has none.
double ScoreOf(const Object& detection);

}  // namespace backfire::metrics
