#include "services/detection/training_frames.h"

#include <algorithm>
#include <cmath>

#include "services/base/choose.h"

namespace backfire::detection {
namespace {

constexpr uint64_t kStream = ~0ULL;  // Of the seed; a training's steps have the others.

}  // namespace

std::vector<int64_t> TrainingFrames(int64_t count, double fraction, int64_t seed) {
  const auto kept = std::max<int64_t>(1, std::llround(fraction * static_cast<double>(count)));
  Random random(static_cast<uint64_t>(seed), kStream);
  return Choose(count, kept, random);
}

}  // namespace backfire::detection
