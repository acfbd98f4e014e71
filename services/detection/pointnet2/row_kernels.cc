#include "services/detection/pointnet2/row_kernels.h"

#include <cstring>

#include "services/base/target_clones.h"

namespace backfire::pointnet2 {

void GatherRows(const float* table, int64_t channels, const int64_t* index, int64_t first,
                int64_t last, float* out) {
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  for (int64_t r = first; r < last; ++r) {
    std::memcpy(out + r * channels, table + index[r] * channels, bytes);
  }
}

BACKFIRE_VECTOR_TARGETS
void SumRowsByTarget(const float* rows, int64_t channels, const int64_t* index, int64_t count,
                     const float* weights, int64_t entries_per_row, int64_t first, int64_t last,
                     float* out) {
  std::memset(out + first * channels, 0,
              static_cast<size_t>((last - first) * channels) * sizeof(float));
  for (int64_t e = 0; e < count; ++e) {
    if (index[e] < first || index[e] >= last) continue;
    float* sum = out + index[e] * channels;
    const float* row = rows + e / entries_per_row * channels;
    const float weight = weights == nullptr ? 1.0f : weights[e];
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) sum[c] += weight * row[c];
  }
}

BACKFIRE_VECTOR_TARGETS
void GroupMaximum(const float* rows, int64_t channels, const int64_t* start, int64_t first,
                  int64_t last, float* out, int64_t* which) {
  for (int64_t g = first; g < last; ++g) {
    float* best = out + g * channels;
    int64_t* from = which == nullptr ? nullptr : which + g * channels;
    if (start[g] == start[g + 1]) {
      for (int64_t c = 0; c < channels; ++c) best[c] = 0;
      for (int64_t c = 0; from != nullptr && c < channels; ++c) from[c] = -1;
      continue;
    }
    std::memcpy(best, rows + start[g] * channels, static_cast<size_t>(channels) * sizeof(float));
    for (int64_t c = 0; from != nullptr && c < channels; ++c) from[c] = start[g];
    for (int64_t r = start[g] + 1; r < start[g + 1]; ++r) {
      const float* row = rows + r * channels;
      if (from == nullptr) {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) best[c] = row[c] > best[c] ? row[c] : best[c];
      } else {
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          const bool larger = row[c] > best[c];
          best[c] = larger ? row[c] : best[c];
          from[c] = larger ? r : from[c];
        }
      }
    }
  }
}

void SpreadToMaximum(const float* gradient, const int64_t* which, int64_t channels,
                     const int64_t* start, int64_t first, int64_t last, float* out) {
  for (int64_t g = first; g < last; ++g) {
    std::memset(out + start[g] * channels, 0,
                static_cast<size_t>((start[g + 1] - start[g]) * channels) * sizeof(float));
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t row = which[g * channels + c];
      if (row >= 0) out[row * channels + c] = gradient[g * channels + c];
    }
  }
}

BACKFIRE_VECTOR_TARGETS
void WeightedRows(const float* table, int64_t channels, const int64_t* index, const float* weights,
                  int64_t first, int64_t last, float* out) {
  for (int64_t r = first; r < last; ++r) {
    const float* a = table + index[3 * r] * channels;
    const float* b = table + index[3 * r + 1] * channels;
    const float* c = table + index[3 * r + 2] * channels;
    const float wa = weights[3 * r], wb = weights[3 * r + 1], wc = weights[3 * r + 2];
    float* sum = out + r * channels;
#pragma omp simd
    for (int64_t i = 0; i < channels; ++i) sum[i] = (wa * a[i] + wb * b[i]) + wc * c[i];
  }
}

BACKFIRE_VECTOR_TARGETS
void GroupedLayer(const float* table, int64_t channels, const int64_t* index, const float* offset,
                  const float* weights, const float* bias, int64_t first, int64_t last,
                  float* out) {
  const float *wx = weights, *wy = weights + channels, *wz = weights + 2 * channels;
  for (int64_t r = first; r < last; ++r) {
    const float x = offset[3 * r], y = offset[3 * r + 1], z = offset[3 * r + 2];
    float* result = out + r * channels;
    if (table == nullptr) {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const float sum = ((x * wx[c] + y * wy[c]) + z * wz[c]) + bias[c];
        result[c] = sum > 0 ? sum : 0;
      }
    } else {
      const float* row = table + index[r] * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const float sum = (((x * wx[c] + y * wy[c]) + z * wz[c]) + row[c]) + bias[c];
        result[c] = sum > 0 ? sum : 0;
      }
    }
  }
}

}  // namespace backfire::pointnet2
