#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "services/metrics/frame_matcher.h"

namespace backfire::metrics {

/// Precisions are sampled at recall 0, 1/40 ... 1, whatever is averaged later.
inline constexpr int kRecallSamples = 41;

/// The arithmetic of an average precision, as KITTI's evaluator has it.
struct PrecisionRecall {
  using Samples = std::array<double, kRecallSamples>;

  bool evaluated = false;          ///< Some detection of the class is usable; else all is 0.
  bool oriented = false;           ///< Whether `similarity` means anything.
  int64_t label_count = 0;         ///< Labels that count, the denominator of recall.
  std::vector<double> thresholds;  ///< Scores at which precision is sampled, falling; at most 41.
  std::vector<int64_t> hits, false_positives, misses;  ///< At each threshold.
  /// At index k, the largest precision at the k-th threshold or a later one; 0 past the last. Where
  /// nothing counts at a threshold, 0/0, this is 0 (the public evaluator then says NaN).
  Samples precision{};
  Samples similarity{};  ///< The same of orientation similarity (AOS).

  /// Average precision in percent; 0 if not evaluated.
  /// @param recall_points  11 (indices 0, 4 ... 40) or 40 (indices 1 ... 40).
  double Average(int recall_points) const { return Average(precision, recall_points); }
  /// Average orientation similarity in percent; NaN if it is switched off.
  double AverageSimilarity(int recall_points) const;

 private:
  static double Average(const Samples& samples, int recall_points);
};

/// The matches of many images under one set of rules, from which the metric of the images as they
/// are, or of any resample of them, is only a matter of adding up: images depend on each other
/// through the thresholds alone. Thread-safe.
class MatchPool {
 public:
  MatchPool() = default;
  /// @param with_similarity  Whether the view has an orientation similarity: the image.
  MatchPool(const std::vector<FrameMatches>& frames, bool with_similarity);

  /// The metric where image i occurs counts[i] >= 0 times; one count per image. Equals, but for the
  /// rounding of similarities, what evaluating the repeated files says.
  PrecisionRecall Compute(const std::vector<int32_t>& counts) const;
  /// The metric of the images as they are.
  PrecisionRecall Compute() const;

  size_t image_count() const { return images_.size(); }
  /// Labels that count in all images together.
  int64_t label_count() const;
  /// Whether each image has a label that counts.
  std::vector<bool> labelled_images() const;

 private:
  struct Image {
    int32_t label_count;
    bool usable, oriented;
  };
  struct Hit {
    double score;
    int32_t image;
    int32_t step_count;  // Steps down to this score.
  };
  struct Step {
    int32_t image;
    int32_t hits, false_positives, misses;
  };

  std::vector<Image> images_;
  std::vector<Hit> hits_;                // By falling score.
  std::vector<Step> steps_;              // By falling score.
  std::vector<double> step_similarity_;  // Empty if there is none.
};

}  // namespace backfire::metrics
