#include "services/datasets/rendered/noise_tile.h"

#include <algorithm>
#include <cstring>

#include "services/base/random.h"

namespace backfire::datasets {
namespace {

// x = fraction * 2^exponent with 0.5 <= fraction < 1, for a normal x > 0.
struct Binary {
  int exponent;
  float fraction;
};

Binary Split(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  Binary result;
  result.exponent = static_cast<int>(bits >> 23) - 126;
  bits = (bits & 0x007FFFFFu) | 0x3F000000u;
  std::memcpy(&result.fraction, &bits, sizeof bits);
  return result;
}

float PowerOfTwo(int exponent) {
  const uint32_t bits = static_cast<uint32_t>(exponent + 127) << 23;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace

const NoiseTile& NoiseTile::Get() {
  static const NoiseTile tile;
  return tile;
}

NoiseTile::NoiseTile() : values_(size_t{1} << (2 * kBits)) {
  Random random(/*seed=*/20210707);
  for (float& value : values_) value = static_cast<float>(random.Uniform(-1, 1));
}

float NoiseTile::Fractal(float a, float b, float footprint_a, float footprint_b,
                         const std::array<float, 3>& contrast, uint32_t texture) const {
  constexpr int kOctaves = 4;
  constexpr std::array<float, kOctaves> kAmplitudes = {0.9f, 1.0f, 0.9f, 0.8f};
  const Binary finest_a = Split(2.5f * std::clamp(footprint_a, 1e-4f, 100.0f));
  const Binary finest_b = Split(2.5f * std::clamp(footprint_b, 1e-4f, 100.0f));
  const float fade = 2 - 2 * std::max(finest_a.fraction, finest_b.fraction);
  float sum = 0;
  for (int k = 0; k < kOctaves; ++k) {
    const int octave_a = finest_a.exponent + k, octave_b = finest_b.exponent + k;
    const int twice = octave_a + octave_b;  // 2 log2 of the wavelength.
    const float amplitude = contrast[twice < -4 ? 0 : twice < 2 ? 1 : 2] * kAmplitudes[k];
    if (amplitude < 0.01f) continue;
    const uint32_t pattern = texture + static_cast<uint32_t>(octave_a + 64) * 0x9E3779B1u +
                             static_cast<uint32_t>(octave_b + 64) * 0x85EBCA77u;
    sum += (k == 0 ? fade : 1.0f) * amplitude *
           Octave(a * PowerOfTwo(-octave_a), b * PowerOfTwo(-octave_b), pattern);
  }
  return sum;
}

}  // namespace backfire::datasets
