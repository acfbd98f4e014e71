#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace backfire::datasets {

/// Random numbers in a square that repeats, made once: the grain of all textures. Thread-safe.
class NoiseTile {
 public:
  static const NoiseTile& Get();

  /// Smooth noise in [-1, 1] of wavelength 1; `pattern` picks one of many.
  float Octave(float a, float b, uint32_t pattern) const {
    const int32_t ia = Floor(a), ib = Floor(b);
    const float ta = Smooth(a - static_cast<float>(ia)), tb = Smooth(b - static_cast<float>(ib));
    const uint32_t hash = pattern * 2654435761u;
    const uint32_t i = static_cast<uint32_t>(ia) + (hash >> 24);
    const uint32_t j = static_cast<uint32_t>(ib) + ((hash >> 16) & 255);
    const float* low = &values_[(j & kMask) << kBits];
    const float* high = &values_[((j + 1) & kMask) << kBits];
    const uint32_t left = i & kMask, right = (i + 1) & kMask;
    const float below = low[left] + ta * (low[right] - low[left]);
    const float above = high[left] + ta * (high[right] - high[left]);
    return below + tb * (above - below);
  }

  /// Noise fixed to a surface at all scales: whatever the distance, its finest detail is two and a
  /// half to five pixels wide, so that both views sample the same, and it fades in as the surface
  /// comes nearer.
  /// @param a, b  Metres along the surface.
  /// @param footprint_a, footprint_b  Metres that a pixel covers there, > 0.
  /// @param contrast  Amplitudes below 0.25 m of wavelength, up to 2 m, and beyond.
  float Fractal(float a, float b, float footprint_a, float footprint_b,
                const std::array<float, 3>& contrast, uint32_t texture) const;

 private:
  static constexpr int kBits = 8;
  static constexpr uint32_t kMask = (1u << kBits) - 1;

  NoiseTile();
  static int32_t Floor(float x) {
    const auto i = static_cast<int32_t>(x);
    return i - (static_cast<float>(i) > x);
  }
  static float Smooth(float t) { return t * t * (3 - 2 * t); }

  std::vector<float> values_;
};

}  // namespace backfire::datasets
