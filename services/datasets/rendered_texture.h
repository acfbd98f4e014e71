#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace backfire::datasets {

/// A colour, 0 to 1 each: red, green, blue.
using Rgb = std::array<float, 3>;

/// Noise without end in detail: whatever the distance, it has contrast at a few pixels, where a
/// stereo matcher looks, and none finer than a pixel, where both views would sample it differently.
/// Thread-safe.
class Texture {
 public:
  explicit Texture(uint64_t seed);

  /// Noise in about [-1, 1] at a point of a surface.
  /// @param a, b  Metres along the surface.
  /// @param footprint_a, footprint_b  Metres that a pixel covers there: how much detail is shown.
  /// @param surface  Different numbers give unrelated patterns.
  float Noise(float a, float b, float footprint_a, float footprint_b, uint32_t surface) const;

  /// Noise of one wavelength, in [-1, 1]; `a` and `b` in wavelengths.
  float Octave(float a, float b, uint32_t pattern) const;

 private:
  static constexpr int kSide = 256;  // Of the tile that repeats; its period is never in view.
  std::vector<float> tile_;          // [kSide * kSide], in [-1, 1].
};

}  // namespace backfire::datasets
