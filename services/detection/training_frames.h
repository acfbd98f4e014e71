#pragma once

#include <cstdint>
#include <vector>

namespace backfire::detection {

/// The frames that a training uses, ascending: `fraction` of `count`, but at least one of them,
/// drawn by the seed.
std::vector<int64_t> TrainingFrames(int64_t count, double fraction, int64_t seed);

}  // namespace backfire::detection
