#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "services/base/resampling.h"  // IWYU pragma: export

namespace backfire::metrics {

/// The resamples of a split, as v1.Bootstrap has them: examples of one cluster are drawn together.
/// Immutable; thread-safe.
class Resampling {
 public:
  /// No resamples.
  Resampling() = default;
  /// @param clusters  Of each example (v1.MaterializeResponse.cluster); an example whose name is
  ///                  empty is a cluster by itself.
  Resampling(const v1::Bootstrap& bootstrap, const std::vector<std::string>& clusters);
  /// Of so many examples without clusters.
  Resampling(const v1::Bootstrap& bootstrap, int64_t example_count);

  int64_t example_count() const { return static_cast<int64_t>(cluster_of_.size()); }
  /// Clusters of the split; 0 if none is named.
  int64_t cluster_count() const { return named_ ? drawn_ : 0; }
  /// B.
  int32_t resample_count() const { return bootstrap_.resample_count(); }

  /// How often each example occurs in a resample, from 0.
  std::vector<int32_t> Counts(int32_t resample) const;

  /// Sets an estimate's counts of examples and clusters.
  /// @param bears  Whether each example bears upon the loss.
  void SetCounts(const std::vector<bool>& bears, v1::LossEstimate& estimate) const;

 private:
  v1::Bootstrap bootstrap_;
  std::vector<size_t> cluster_of_;  // By example; numbered as they come.
  int64_t drawn_ = 0;               // Clusters, examples without a name included.
  bool named_ = false;
};

/// Appends to `evaluation` a loss that is a ratio of per-example sums (a mean over pixels, say):
/// sum(numerators) / sum(denominators), NaN where the denominators sum to 0, with its resamples.
/// Examples whose denominator is not 0 bear upon it.
void AddRatioLoss(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const Resampling& resampling, const std::string& loss, const std::string& slice,
                  bool judged, v1::Evaluation& evaluation);

}  // namespace backfire::metrics
