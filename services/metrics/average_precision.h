#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "services/metrics/bootstrap.h"
#include "services/metrics/matching_rules.h"
#include "services/metrics/precision_recall.h"

namespace backfire::metrics {

/// Average precision over a set of images, with overlaps computed once for all resamples.
/// Rules and quirks of the official KITTI evaluator (Geiger et al., CVPR 2012; development kit),
/// in doubles, as README.md lists them: every image is taken to have a detection file; 0/0 at a
/// threshold is precision 0; a detection with a NaN score is left out, one without a score ranks
/// last and is never a hit. A resample's AP is what that evaluator would say of the resampled
/// files. Thread-safe.
class AveragePrecision {
 public:
  AveragePrecision(const std::vector<ImageObjects>& images, const AveragePrecisionOptions& options);

  /// AP in percent where image i occurs counts[i] >= 0 times; one count per image. 0 if nothing of
  /// the class was detected; NaN if no label counts.
  double Compute(const std::vector<int32_t>& counts) const;
  /// AP in percent of the set as it is.
  double Compute() const;
  /// What these are averages of, where image i occurs counts[i] >= 0 times.
  PrecisionRecall Curve(const std::vector<int32_t>& counts) const { return pool_.Compute(counts); }
  /// Labels that count, the denominator of recall.
  int64_t label_count() const { return pool_.label_count(); }
  /// Whether each image has a label that counts: those that have bear upon it.
  std::vector<bool> labelled_images() const { return pool_.labelled_images(); }

 private:
  int recall_points_;
  MatchPool pool_;
};

/// The slice on which AddAveragePrecisionLoss gives a loss by the 11 recall points of before
/// October 2019, as most papers have it: all examples, another average of the same curve.
inline constexpr char kElevenPointsSlice[] = "recall_11";

/// Appends to `evaluation` the loss -AP, in percent, with its resamples.
/// @param eleven_points  Where the same by 11 recall points is appended, which is never judged;
///                       nullptr: nowhere. It takes no time: curves are computed once.
void AddAveragePrecisionLoss(const std::vector<ImageObjects>& images,
                             const AveragePrecisionOptions& options, const Resampling& resampling,
                             const std::string& loss, const std::string& slice, bool judged,
                             v1::Evaluation& evaluation, v1::Evaluation* eleven_points = nullptr);

}  // namespace backfire::metrics
