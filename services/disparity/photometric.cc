#include "services/disparity/photometric.h"

#include <algorithm>
#include <cmath>

namespace backfire::disparity {
namespace {

constexpr double kMean[] = {0.485, 0.456, 0.406}, kDeviation[] = {0.229, 0.224, 0.225};

// What a camera did with the light.
struct Exposure {
  double gamma = 1, gain = 1, contrast = 1;
  double colour[3] = {1, 1, 1};
};

// About normal, mean 0, deviation 1: the sum of four uniforms of 16 bits each.
inline float Noise(uint64_t bits) {
  const uint64_t sum =
      (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
  return (static_cast<float>(sum) - 131070.0f) * static_cast<float>(1.7320508 / 65536.0);
}

void Draw(double strength, double scale, Random& random, Exposure& exposure) {
  const double range = strength * scale;
  exposure.gamma *= std::exp(random.Uniform(-0.35, 0.35) * range);
  exposure.gain *= std::exp(random.Uniform(-0.45, 0.45) * range);
  exposure.contrast *= std::exp(random.Uniform(-0.35, 0.35) * range);
  for (double& gain : exposure.colour) gain *= std::exp(random.Uniform(-0.15, 0.15) * range);
}

}  // namespace

Photometric::Photometric(double strength, Random& random) {
  std::array<Exposure, 2> exposures;
  noise_seed_ = random.Bits();
  if (strength > 0) {
    Draw(strength, 1, random, exposures[0]);
    exposures[1] = exposures[0];
    for (Exposure& exposure : exposures) Draw(strength, 0.2, random, exposure);
    grey_ = random.Uniform() < 0.2 * strength;
    const double noise = random.Uniform(0, 4) * strength;
    for (double& deviation : noise_) deviation = noise * random.Uniform(0.5, 1);
  }
  for (size_t side = 0; side < 2; ++side) {
    const Exposure& e = exposures[side];
    for (size_t c = 0; c < 3; ++c) {
      for (size_t byte = 0; byte < 256; ++byte) {
        const double light =
            std::pow(static_cast<double>(byte) / 255, e.gamma) * e.gain * e.colour[c];
        const double value = std::clamp((light - 0.4) * e.contrast + 0.4, 0.0, 1.0);
        tables_[side][c][byte] = static_cast<float>(
            ((strength > 0 ? value : static_cast<double>(byte) / 255) - kMean[c]) / kDeviation[c]);
      }
    }
  }
}

void Photometric::Write(const uint8_t* rgb, int64_t row_bytes, int64_t height, int64_t width,
                        int side, float* out) const {
  const Table& table = tables_[static_cast<size_t>(side)];
  for (size_t c = 0; c < 3; ++c) {
    float* plane = out + static_cast<int64_t>(c) * height * width;
    const float amount =
        static_cast<float>(noise_[static_cast<size_t>(side)] / 255 / kDeviation[c]);
    const uint64_t key = SplitMix64(noise_seed_ + c + 3 * static_cast<uint64_t>(side));
    for (int64_t y = 0; y < height; ++y) {
      const uint8_t* row = rgb + y * row_bytes;
      float* to = plane + y * width;
      if (grey_) {
        for (int64_t x = 0; x < width; ++x) {
          const uint8_t* p = row + 3 * x;
          to[x] = table[c][static_cast<size_t>((77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8)];
        }
      } else {
        for (int64_t x = 0; x < width; ++x) to[x] = table[c][row[3 * x + static_cast<int64_t>(c)]];
      }
      if (amount == 0) continue;
      const uint64_t base = key + static_cast<uint64_t>(y * width);
      for (int64_t x = 0; x < width; ++x) {
        to[x] += amount * Noise(SplitMix64(base + static_cast<uint64_t>(x)));
      }
    }
  }
}

}  // namespace backfire::disparity
