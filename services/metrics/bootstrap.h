#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"

namespace backfire::metrics {

/// Returns how often each of `example_count` examples occurs in resample `resample`, as the
/// contract of v1.Bootstrap fixes it bit for bit.
std::vector<int32_t> ResampleCounts(uint64_t seed, int64_t resample, int64_t example_count);

/// Appends to `evaluation` a loss that is a ratio of per-example sums (a mean over pixels, say):
/// sum(numerators) / sum(denominators), NaN where the denominators sum to 0, with its resamples.
void AddRatioLoss(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const v1::Bootstrap& bootstrap, const std::string& loss, const std::string& slice,
                  bool judged, v1::Evaluation& evaluation);

}  // namespace backfire::metrics
