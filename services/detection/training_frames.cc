#include "services/detection/training_frames.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "services/base/random.h"

namespace backfire::detection {
namespace {

constexpr uint64_t kStream = ~0ULL;  // Of the seed; a training's steps have the others.

}  // namespace

std::vector<int64_t> TrainingFrames(int64_t count, double fraction, int64_t seed) {
  std::vector<int64_t> frames(static_cast<size_t>(count));
  std::iota(frames.begin(), frames.end(), 0);
  const auto kept = std::max<int64_t>(1, std::llround(fraction * static_cast<double>(count)));
  if (kept >= count) return frames;
  Random random(static_cast<uint64_t>(seed), kStream);
  for (int64_t i = 0; i < kept; ++i) {
    std::swap(frames[static_cast<size_t>(i)],
              frames[static_cast<size_t>(i + random.Below(count - i))]);
  }
  frames.resize(static_cast<size_t>(kept));
  std::sort(frames.begin(), frames.end());
  return frames;
}

}  // namespace backfire::detection
