#include "services/disparity/soft_argmin_kernel.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "services/base/target_clones.h"

namespace backfire::disparity {
namespace {

// e^x for x in [-87, 0], relative error 2e-7: Cody and Waite's reduction, then a polynomial.
// Branch-free, so that loops over it vectorise; std::exp does not.
inline float FastExp(float x) {
  x = x < -87.0f ? -87.0f : x;
  const float n = static_cast<float>(static_cast<int32_t>(x * 1.44269504f - 0.5f));
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

BACKFIRE_VECTOR_TARGETS void Lerp(const float* __restrict a, const float* __restrict b,
                                  float weight, int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = a[i] + weight * (b[i] - a[i]);
}

BACKFIRE_VECTOR_TARGETS void Spread(const float* __restrict in, const int32_t* __restrict low,
                                    const int32_t* __restrict high, const float* __restrict weight,
                                    int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) {
    const float a = in[low[i]];
    out[i] = a + weight[i] * (in[high[i]] - a);
  }
}

BACKFIRE_VECTOR_TARGETS void Maximum(const float* __restrict a, const float* __restrict b,
                                     float weight, int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) {
    const float score = a[i] + weight * (b[i] - a[i]);
    out[i] = score > out[i] ? score : out[i];
  }
}

// Adds one disparity's share to the sums of e^score and of disparity * e^score.
BACKFIRE_VECTOR_TARGETS void AddDisparity(const float* __restrict a, const float* __restrict b,
                                          float weight, const float* __restrict maximum,
                                          float disparity, int64_t count, float* __restrict sum,
                                          float* __restrict moment) {
  for (int64_t i = 0; i < count; ++i) {
    const float e = FastExp(a[i] + weight * (b[i] - a[i]) - maximum[i]);
    sum[i] += e;
    moment[i] += disparity * e;
  }
}

BACKFIRE_VECTOR_TARGETS void Divide(const float* __restrict moment, const float* __restrict sum,
                                    int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = moment[i] / sum[i];
}

BACKFIRE_VECTOR_TARGETS void AddExp(const float* __restrict a, const float* __restrict b,
                                    float weight, const float* __restrict maximum, int64_t count,
                                    float* __restrict sum) {
  for (int64_t i = 0; i < count; ++i) {
    sum[i] += FastExp(a[i] + weight * (b[i] - a[i]) - maximum[i]);
  }
}

// One disparity's gradient, shared between the two planes that it was interpolated from; `low` and
// `high` may be the same plane.
BACKFIRE_VECTOR_TARGETS void AddGradient(const float* __restrict a, const float* __restrict b,
                                         float weight, const float* __restrict maximum,
                                         float disparity, const float* __restrict expected,
                                         const float* __restrict factor, int64_t count, float* low,
                                         float* high) {
  for (int64_t i = 0; i < count; ++i) {
    const float e = FastExp(a[i] + weight * (b[i] - a[i]) - maximum[i]);
    const float g = factor[i] * e * (disparity - expected[i]);
    low[i] += (1 - weight) * g;
    high[i] += weight * g;
  }
}

// Scores of one image row, [planes, W], and their maximum over the upsampled disparities, [W].
class RowScores {
 public:
  explicit RowScores(const SoftArgminGrid& grid)
      : grid_(grid),
        narrow_(static_cast<size_t>(grid.width)),
        wide_(static_cast<size_t>(grid.planes * grid.columns.size())),
        maximum_(static_cast<size_t>(grid.columns.size())) {}

  void Fill(const float* scores, int64_t row) {
    const auto y = static_cast<size_t>(row);
    const int64_t columns = grid_.columns.size();
    for (int64_t plane = 0; plane < grid_.planes; ++plane) {
      const float* base = scores + plane * grid_.height * grid_.width;
      Lerp(base + grid_.rows.low[y] * grid_.width, base + grid_.rows.high[y] * grid_.width,
           grid_.rows.weight[y], grid_.width, narrow_.data());
      float* wide = wide_.data() + plane * columns;
      Spread(narrow_.data(), grid_.columns.low.data(), grid_.columns.high.data(),
             grid_.columns.weight.data(), columns, wide);
    }
    std::fill(maximum_.begin(), maximum_.end(), -std::numeric_limits<float>::infinity());
    const InterpolationAxis& axis = grid_.disparity;
    for (size_t d = 0; d < axis.low.size(); ++d) {
      Maximum(plane(axis.low[d]), plane(axis.high[d]), axis.weight[d], columns, maximum_.data());
    }
  }
  const float* plane(int64_t plane) const { return wide_.data() + plane * grid_.columns.size(); }
  const float* maximum() const { return maximum_.data(); }

 private:
  const SoftArgminGrid& grid_;
  std::vector<float> narrow_, wide_, maximum_;
};

}  // namespace

InterpolationAxis MakeInterpolationAxis(int64_t input, int64_t output, bool align_corners) {
  InterpolationAxis axis;
  const float scale =
      align_corners
          ? (output > 1 ? static_cast<float>(input - 1) / static_cast<float>(output - 1) : 0)
          : static_cast<float>(input) / static_cast<float>(output);
  for (int64_t i = 0; i < output; ++i) {
    const float at = align_corners ? scale * static_cast<float>(i)
                                   : std::max(scale * (static_cast<float>(i) + 0.5f) - 0.5f, 0.0f);
    const int64_t low = std::min(static_cast<int64_t>(at), input - 1);
    axis.low.push_back(static_cast<int32_t>(low));
    axis.high.push_back(static_cast<int32_t>(std::min(low + 1, input - 1)));
    axis.weight.push_back(at - static_cast<float>(low));
  }
  return axis;
}

void SoftArgminRows(const SoftArgminGrid& grid, const float* scores, int64_t first_row,
                    int64_t last_row, float* expected) {
  const int64_t columns = grid.columns.size();
  RowScores row_scores(grid);
  std::vector<float> sum(static_cast<size_t>(columns)), moment(sum.size());
  for (int64_t row = first_row; row < last_row; ++row) {
    row_scores.Fill(scores, row);
    std::fill(sum.begin(), sum.end(), 0.0f);
    std::fill(moment.begin(), moment.end(), 0.0f);
    for (int64_t d = 0; d < grid.disparity.size(); ++d) {
      const auto k = static_cast<size_t>(d);
      AddDisparity(row_scores.plane(grid.disparity.low[k]),
                   row_scores.plane(grid.disparity.high[k]), grid.disparity.weight[k],
                   row_scores.maximum(), static_cast<float>(d), columns, sum.data(), moment.data());
    }
    Divide(moment.data(), sum.data(), columns, expected + row * columns);
  }
}

void SoftArgminRowsBackward(const SoftArgminGrid& grid, const float* scores, const float* expected,
                            const float* expected_gradient, int64_t first_row, int64_t last_row,
                            float* row_gradient) {
  const int64_t columns = grid.columns.size();
  RowScores row_scores(grid);
  std::vector<float> sum(static_cast<size_t>(columns)), factor(sum.size());
  std::vector<float> wide(static_cast<size_t>(grid.planes * columns));
  for (int64_t row = first_row; row < last_row; ++row) {
    row_scores.Fill(scores, row);
    std::fill(sum.begin(), sum.end(), 0.0f);
    std::fill(wide.begin(), wide.end(), 0.0f);
    const auto& axis = grid.disparity;
    for (size_t d = 0; d < axis.low.size(); ++d) {
      AddExp(row_scores.plane(axis.low[d]), row_scores.plane(axis.high[d]), axis.weight[d],
             row_scores.maximum(), columns, sum.data());
    }
    Divide(expected_gradient + row * columns, sum.data(), columns, factor.data());
    for (size_t d = 0; d < axis.low.size(); ++d) {
      AddGradient(row_scores.plane(axis.low[d]), row_scores.plane(axis.high[d]), axis.weight[d],
                  row_scores.maximum(), static_cast<float>(d), expected + row * columns,
                  factor.data(), columns, wide.data() + axis.low[d] * columns,
                  wide.data() + axis.high[d] * columns);
    }
    float* narrow = row_gradient + row * grid.planes * grid.width;
    std::fill(narrow, narrow + grid.planes * grid.width, 0.0f);
    for (int64_t plane = 0; plane < grid.planes; ++plane) {
      const float* from = wide.data() + plane * columns;
      float* to = narrow + plane * grid.width;
      for (size_t x = 0; x < static_cast<size_t>(columns); ++x) {
        const float weight = grid.columns.weight[x];
        to[grid.columns.low[x]] += (1 - weight) * from[x];
        to[grid.columns.high[x]] += weight * from[x];
      }
    }
  }
}

void SumRowGradients(const SoftArgminGrid& grid, const float* row_gradient, int64_t first,
                     int64_t last, float* gradient) {
  const int64_t plane_size = grid.height * grid.width;
  for (size_t y = 0; y < grid.rows.low.size(); ++y) {
    const float weight = grid.rows.weight[y];
    const float* from = row_gradient + static_cast<int64_t>(y) * grid.planes * grid.width;
    for (const auto& [row, share] :
         {std::pair<int64_t, float>(grid.rows.low[y], 1 - weight), {grid.rows.high[y], weight}}) {
      if (row < first || row >= last) continue;
      for (int64_t plane = 0; plane < grid.planes; ++plane) {
        float* to = gradient + plane * plane_size + row * grid.width;
        const float* part = from + plane * grid.width;
        for (int64_t x = 0; x < grid.width; ++x) to[x] += share * part[x];
      }
    }
  }
}

}  // namespace backfire::disparity
