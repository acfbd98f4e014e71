#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "services/base/resampling.h"  // IWYU pragma: export

namespace backfire::metrics {

/// Appends to `evaluation` a loss that is a ratio of per-example sums (a mean over pixels, say):
/// sum(numerators) / sum(denominators), NaN where the denominators sum to 0, with its resamples.
/// Examples whose denominator is not 0 bear upon it.
void AddRatioLoss(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const v1::Bootstrap& bootstrap, const std::string& loss, const std::string& slice,
                  bool judged, v1::Evaluation& evaluation);

}  // namespace backfire::metrics
