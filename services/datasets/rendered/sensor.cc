#include "services/datasets/rendered/sensor.h"

#include <algorithm>
#include <cmath>

#include "services/datasets/rendered/exact_math.h"

namespace backfire::datasets {
namespace {

constexpr size_t kNoiseSize = 1 << 16, kLongestRow = 3 * 4096;

// Normal numbers, made once; a row starts at a random place.
const std::vector<float>& NormalNoise() {
  static const auto* noise = [] {
    auto* values = new std::vector<float>(kNoiseSize + kLongestRow);
    Random random(/*seed=*/77);
    for (float& value : *values) value = static_cast<float>(BellCurve(random));
    return values;
  }();
  return *noise;
}

}  // namespace

double MeanLight(const std::vector<Rgb>& image) {
  double sum = 0;
  for (const Rgb& pixel : image) sum += pixel[1];
  return sum / static_cast<double>(std::max<size_t>(image.size(), 1));
}

cv::Mat Expose(std::vector<Rgb>& image, int width, int height, const Sensor& sensor) {
  const std::vector<float>& normal = NormalNoise();
  const float side = sensor.blur, middle = 1 - 2 * side;
  const int row_size = 3 * width;
  cv::Mat result(height, width, CV_8UC3);
  // Along columns: three rows at a time; then along the row.
  std::vector<float> sum(row_size + 6), falloff(row_size);
  for (int x = 0; x < width; ++x) {
    const float dx = (static_cast<float>(x) - 0.5f * static_cast<float>(width - 1)) /
                     (0.5f * static_cast<float>(width));
    for (int c = 0; c < 3; ++c) falloff[3 * x + c] = 0.5f * dx * dx;
  }
  const auto row = [&](int y) {
    return image[static_cast<size_t>(std::clamp(y, 0, height - 1)) * width].data();
  };
  for (int y = 0; y < height; ++y) {
    const float *above = row(y - 1), *here = row(y), *below = row(y + 1);
    for (int i = 0; i < row_size; ++i) {
      sum[i + 3] = middle * here[i] + side * (above[i] + below[i]);
    }
    for (int c = 0; c < 3; ++c) {
      sum[c] = sum[c + 3];
      sum[row_size + 3 + c] = sum[row_size + c];
    }
    const float dy = (static_cast<float>(y) - 0.5f * static_cast<float>(height - 1)) /
                     (0.5f * static_cast<float>(height));
    const float falloff_y = 0.5f * dy * dy;
    const float* noise =
        &normal[SplitMix64(sensor.seed + static_cast<uint64_t>(y)) & (kNoiseSize - 1)];
    uchar* out = result.ptr(y);
    for (int i = 0; i < row_size; ++i) {
      const float light = middle * sum[i + 3] + side * (sum[i] + sum[i + 6]);
      const float kept = sensor.gain * (1 - sensor.vignetting * (falloff[i] + falloff_y));
      const float grey = 255 * std::sqrt(std::max(light * kept, 0.0f)) + sensor.noise * noise[i];
      out[i] = static_cast<uchar>(std::min(std::max(grey + 0.5f, 0.0f), 255.0f));
    }
  }
  return result;
}

}  // namespace backfire::datasets
