#pragma once

#include <cstdint>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "orchestrator/verdict/statistics.h"

namespace backfire::gate {

/// Losses that are ratios of sums over examples, side by side: of each replicate before and after.
struct RatioColumns {
  int64_t examples = 0;  ///< n; or clusters, of which each column has the sums.
  /// A column per loss, of n numbers.
  std::vector<std::vector<double>> numerators;
  /// One that all share, or one per loss, of n numbers >= 0; none: ones.
  std::vector<std::vector<double>> denominators;
};

/// sum(numerators) / sum(denominators) of each column, NaN where the denominators sum to 0, and the
/// same on each resample that `bootstrap` draws: bit for bit what metrics::AddRatioLoss computes of
/// a column by itself, in a fraction of the time.
std::vector<verdict::LossSample> ResampledRatios(const RatioColumns& columns,
                                                 const v1::Bootstrap& bootstrap);

}  // namespace backfire::gate
