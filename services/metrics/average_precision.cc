#include "services/metrics/average_precision.h"

#include <limits>

#include "services/metrics/kitti_evaluation.h"

namespace backfire::metrics {
namespace {

double AverageOf(const PrecisionRecall& curve, int recall_points) {
  // The evaluator says 0 where there is nothing to find; a loss that says so would be judged.
  if (curve.label_count == 0) return std::numeric_limits<double>::quiet_NaN();
  return curve.Average(recall_points);
}

// Subtracted, so that AP 0 is loss 0 and not -0.
double LossOf(const PrecisionRecall& curve, int recall_points) {
  return 0.0 - AverageOf(curve, recall_points);
}

}  // namespace

AveragePrecision::AveragePrecision(const std::vector<ImageObjects>& images,
                                   const AveragePrecisionOptions& options)
    : recall_points_(options.recall_points),
      pool_(std::move(MatchAll(images, {options}, /*threads=*/1).front())) {}

double AveragePrecision::Compute(const std::vector<int32_t>& counts) const {
  return AverageOf(Curve(counts), recall_points_);
}

double AveragePrecision::Compute() const {
  return Compute(std::vector<int32_t>(pool_.image_count(), 1));
}

void AddAveragePrecisionLoss(const std::vector<ImageObjects>& images,
                             const AveragePrecisionOptions& options, const Resampling& resampling,
                             const std::string& loss, const std::string& slice, bool judged,
                             v1::Evaluation& evaluation, v1::Evaluation* eleven_points) {
  const AveragePrecision average_precision(images, options);
  const auto begin = [&](const std::string& of, bool is_judged, v1::Evaluation& to) {
    v1::LossEstimate& estimate = *to.add_losses();
    estimate.set_loss(loss);
    estimate.set_slice(of);
    estimate.set_judged(is_judged);
    resampling.SetCounts(average_precision.labelled_images(), estimate);
    return &estimate;
  };
  v1::LossEstimate* const estimate = begin(slice, judged, evaluation);
  v1::LossEstimate* const of_eleven =
      eleven_points != nullptr ? begin(kElevenPointsSlice, false, *eleven_points) : nullptr;
  const PrecisionRecall curve = average_precision.Curve(std::vector<int32_t>(images.size(), 1));
  estimate->set_value(LossOf(curve, options.recall_points));
  if (of_eleven != nullptr) of_eleven->set_value(LossOf(curve, 11));
  for (int32_t b = 0; b < resampling.resample_count(); ++b) {
    const PrecisionRecall resampled = average_precision.Curve(resampling.Counts(b));
    estimate->add_resampled(LossOf(resampled, options.recall_points));
    if (of_eleven != nullptr) of_eleven->add_resampled(LossOf(resampled, 11));
  }
}

}  // namespace backfire::metrics
