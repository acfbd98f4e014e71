#pragma once

#include <cstdint>

#include "services/base/random.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {

/// The random sequences of a frame. Splits have sequences of their own: a longer training split
/// leaves the test split as it was.
struct FrameStream {
  uint64_t seed, stream;
  Random Scene() const { return Random(seed, stream); }
  Random Sensors() const { return Random(seed, stream + 1); }
};

inline FrameStream StreamOf(uint64_t seed, runtime::Split split, int64_t index) {
  return {seed, (static_cast<uint64_t>(split) + 1) << 40 | static_cast<uint64_t>(index) << 1};
}

}  // namespace backfire::datasets
