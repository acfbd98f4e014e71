#pragma once

#include <cstdint>
#include <vector>

namespace backfire::disparity {

/// Where linear interpolation to a finer grid reads, along one axis: output i is
/// (1 - weight[i]) * input[low[i]] + weight[i] * input[high[i]].
struct InterpolationAxis {
  std::vector<int32_t> low, high;
  std::vector<float> weight;
  int64_t size() const { return static_cast<int64_t>(low.size()); }
};

/// As torch::nn::functional::interpolate with `align_corners`.
InterpolationAxis MakeInterpolationAxis(int64_t input, int64_t output, bool align_corners);

}  // namespace backfire::disparity
