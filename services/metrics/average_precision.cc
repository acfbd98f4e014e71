#include "services/metrics/average_precision.h"

#include <limits>

#include "services/metrics/kitti_evaluation.h"

namespace backfire::metrics {

AveragePrecision::AveragePrecision(const std::vector<ImageObjects>& images,
                                   const AveragePrecisionOptions& options)
    : recall_points_(options.recall_points),
      pool_(std::move(MatchAll(images, {options}, /*threads=*/1).front())) {}

double AveragePrecision::Compute(const std::vector<int32_t>& counts) const {
  const PrecisionRecall result = pool_.Compute(counts);
  // The evaluator says 0 where there is nothing to find; a loss that says so would be judged.
  if (result.label_count == 0) return std::numeric_limits<double>::quiet_NaN();
  return result.Average(recall_points_);
}

double AveragePrecision::Compute() const {
  return Compute(std::vector<int32_t>(pool_.image_count(), 1));
}

void AddAveragePrecisionLoss(const std::vector<ImageObjects>& images,
                             const AveragePrecisionOptions& options, const Resampling& resampling,
                             const std::string& loss, const std::string& slice, bool judged,
                             v1::Evaluation& evaluation) {
  const AveragePrecision average_precision(images, options);
  v1::LossEstimate& estimate = *evaluation.add_losses();
  estimate.set_loss(loss);
  estimate.set_slice(slice);
  estimate.set_judged(judged);
  resampling.SetCounts(average_precision.labelled_images(), estimate);
  // Subtracted, so that AP 0 is loss 0 and not -0.
  estimate.set_value(0.0 - average_precision.Compute());
  for (int32_t b = 0; b < resampling.resample_count(); ++b) {
    estimate.add_resampled(0.0 - average_precision.Compute(resampling.Counts(b)));
  }
}

}  // namespace backfire::metrics
