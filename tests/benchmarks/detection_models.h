#pragma once

#include <cstdint>

namespace backfire::benchmarks {

/// Prints, for both detectors, frames/s and training steps/s, and where PointRCNN's time goes at
/// `points` points. Networks are untrained, which costs the same. Returns whether all ran.
bool RunDetectionModels(int64_t points, int64_t repeats);

}  // namespace backfire::benchmarks
