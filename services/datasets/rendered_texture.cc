#include "services/datasets/rendered_texture.h"

#include <algorithm>
#include <cmath>

#include "services/base/random.h"

namespace backfire::datasets {

Texture::Texture(uint64_t seed) : tile_(kSide * kSide) {
  Random random(seed, /*stream=*/1);
  for (float& value : tile_) value = static_cast<float>(random.Uniform(-1, 1));
}

float Texture::Octave(float a, float b, uint32_t pattern) const {
  const float floor_a = std::floor(a), floor_b = std::floor(b);
  const auto smooth = [](float t) { return t * t * (3 - 2 * t); };
  const float ta = smooth(a - floor_a), tb = smooth(b - floor_b);
  // Each pattern starts elsewhere in the tile. (Unsigned, so that it wraps.)
  const uint32_t hash = pattern * 2654435761u;
  const uint32_t i = static_cast<uint32_t>(static_cast<int32_t>(floor_a)) + (hash >> 24);
  const uint32_t j = static_cast<uint32_t>(static_cast<int32_t>(floor_b)) + ((hash >> 16) & 255);
  const auto at = [this](uint32_t row, uint32_t column) {
    return tile_[(row % kSide) * kSide + column % kSide];
  };
  const float low = at(j, i) + ta * (at(j, i + 1) - at(j, i));
  const float high = at(j + 1, i) + ta * (at(j + 1, i + 1) - at(j + 1, i));
  return low + tb * (high - low);
}

float Texture::Noise(float a, float b, float footprint_a, float footprint_b,
                     uint32_t surface) const {
  // The finest wavelength is 2.5 to 5 pixels; it fades in as the surface comes nearer, so that
  // nothing pops up.
  const float level_a = std::log2(2.5f * footprint_a), level_b = std::log2(2.5f * footprint_b);
  const float octave_a = std::ceil(level_a), octave_b = std::ceil(level_b);
  const float fade = std::min(octave_a - level_a, octave_b - level_b);
  constexpr std::array<float, 4> kAmplitudes = {0.55f, 0.5f, 0.35f, 0.25f};
  float sum = 0, wave_a = std::exp2(octave_a), wave_b = std::exp2(octave_b);
  for (int k = 0; k < 4; ++k, wave_a *= 2, wave_b *= 2) {
    const auto pattern = surface * 97u + static_cast<uint32_t>(octave_a + k + 64) * 31u +
                         static_cast<uint32_t>(octave_b + k + 64) * 7u;
    sum += (k == 0 ? fade : 1.0f) * kAmplitudes[k] * Octave(a / wave_a, b / wave_b, pattern);
  }
  return sum;
}

}  // namespace backfire::datasets
