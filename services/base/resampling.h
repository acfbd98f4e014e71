#pragma once

#include <cstdint>
#include <vector>

namespace backfire {

/// Returns how often each of `example_count` examples occurs in resample `resample`, as the
/// contract of v1.Bootstrap fixes it bit for bit.
std::vector<int32_t> ResampleCounts(uint64_t seed, int64_t resample, int64_t example_count);

}  // namespace backfire
