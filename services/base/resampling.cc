#include "services/base/resampling.h"

#include "services/base/random.h"

namespace backfire {

std::vector<int32_t> ResampleCounts(uint64_t seed, int64_t resample, int64_t example_count) {
  std::vector<int32_t> counts(static_cast<size_t>(example_count), 0);
  const uint64_t key = SplitMix64(seed + static_cast<uint64_t>(resample));
  const auto n = static_cast<uint64_t>(example_count);
  for (int64_t i = 0; i < example_count; ++i) {
    ++counts[MultiplyHigh(SplitMix64(key + static_cast<uint64_t>(i)), n)];
  }
  return counts;
}

}  // namespace backfire
