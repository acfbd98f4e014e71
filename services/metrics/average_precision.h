#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
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

/// What an average precision is of.
struct AveragePrecisionOptions {
  std::string type = "Car";
  View view = View::k3d;
  double iou_threshold = 0.7;  ///< A match needs an overlap strictly above it.
  Difficulty difficulty = Difficulty::kModerate;
  int recall_points = 40;  ///< 40 (KITTI since October 2019) or 11.
  /// Only labels with min_depth_m < z <= max_depth_m count; others are ignored (neither hit nor
  /// miss), and detections outside that match nothing are no false positives. 0 and none: no limit,
  /// as in KITTI. A detection without a 3D box (a proposal) has no depth: it is never outside.
  double min_depth_m = 0;
  std::optional<double> max_depth_m;
};

/// Average precision over a set of images, with overlaps computed once for all resamples.
/// Rules and quirks of the official KITTI evaluator (Geiger et al., CVPR 2012; development kit),
/// in doubles: every image is taken to have a detection file; 0/0 at a threshold is precision 0; a
/// detection with a NaN score is left out, one without a score ranks last. A resample's AP is what
/// that evaluator would say of the resampled files. Thread-safe.
class AveragePrecision {
 public:
  AveragePrecision(const std::vector<ImageObjects>& images, const AveragePrecisionOptions& options);
  ~AveragePrecision();
  AveragePrecision(const AveragePrecision&) = delete;
  AveragePrecision& operator=(const AveragePrecision&) = delete;

  /// AP in percent where image i occurs counts[i] >= 0 times; one count per image. 0 if nothing of
  /// the class was detected; NaN if no label counts.
  double Compute(const std::vector<int32_t>& counts) const;
  /// AP in percent of the set as it is.
  double Compute() const;
  /// Labels that count, the denominator of recall.
  int64_t label_count() const;

 private:
  struct Matches;
  std::unique_ptr<Matches> matches_;
};

/// Appends to `evaluation` the loss -AP, in percent, with its resamples.
void AddAveragePrecisionLoss(const std::vector<ImageObjects>& images,
                             const AveragePrecisionOptions& options, const v1::Bootstrap& bootstrap,
                             const std::string& loss, const std::string& slice, bool judged,
                             v1::Evaluation& evaluation);

}  // namespace backfire::metrics
