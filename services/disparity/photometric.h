#pragma once

#include <array>
#include <cstdint>

#include "services/base/random.h"

namespace backfire::disparity {

/// A random change of light and sensor of one stereo pair, for training: gamma, brightness,
/// contrast, colour, sometimes no colour at all; a smaller change of each between left and right;
/// noise and blur. Geometry stays.
class Photometric {
 public:
  /// `strength` in [0, 1]; at 0 images stay as they are, and nothing is drawn but the seed.
  Photometric(double strength, Random& random);

  /// Writes a crop as PSMNet wants it: FP32 [3, height, width], ImageNet's mean and deviation.
  /// @param rgb  UINT8 rows of `row_bytes`, its first pixel the crop's first.
  /// @param side  0 left, 1 right.
  void Write(const uint8_t* rgb, int64_t row_bytes, int64_t height, int64_t width, int side,
             float* out) const;

 private:
  using Table = std::array<std::array<float, 256>, 3>;  ///< Normalised value by channel and byte.
  std::array<Table, 2> tables_;
  std::array<double, 2> noise_{};  ///< Standard deviation, in bytes.
  bool grey_ = false;
  uint64_t noise_seed_ = 0;
};

}  // namespace backfire::disparity
