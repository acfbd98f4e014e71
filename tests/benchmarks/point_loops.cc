#include "tests/benchmarks/point_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "services/detection/point_rcnn/cloud_augmentation.h"
#include "services/metrics/iou.h"

namespace backfire::benchmarks {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float SquaredDistance(const float* a, const float* b) {
  const float dx = a[0] - b[0], dy = a[1] - b[1], dz = a[2] - b[2];
  return (dx * dx + dy * dy) + dz * dz;
}

int64_t Rows(const std::vector<float>& table, int64_t columns) {
  return static_cast<int64_t>(table.size()) / columns;
}

}  // namespace

std::vector<int64_t> LoopFarthestPoints(const std::vector<float>& xyz, int64_t samples) {
  std::vector<float> nearest(xyz.size() / 3, kInfinity);
  std::vector<int64_t> chosen{0};
  while (static_cast<int64_t>(chosen.size()) < samples) {
    int64_t best = 0;
    const float* last = xyz.data() + 3 * chosen.back();
    for (int64_t i = 0; i < Rows(xyz, 3); ++i) {
      float& d = nearest[static_cast<size_t>(i)];
      d = std::min(d, SquaredDistance(xyz.data() + 3 * i, last));
      if (d > nearest[static_cast<size_t>(best)]) best = i;
    }
    chosen.push_back(best);
  }
  return chosen;
}

std::vector<int64_t> LoopWithinRadius(const std::vector<float>& xyz,
                                      const std::vector<float>& centres, float radius,
                                      int64_t samples) {
  std::vector<int64_t> index(static_cast<size_t>(Rows(centres, 3) * samples), -1);
  for (int64_t c = 0; c < Rows(centres, 3); ++c) {
    int64_t found = 0;
    for (int64_t i = 0; i < Rows(xyz, 3) && found < samples; ++i) {
      if (SquaredDistance(xyz.data() + 3 * i, centres.data() + 3 * c) < radius * radius) {
        index[static_cast<size_t>(c * samples + found++)] = i;
      }
    }
  }
  return index;
}

std::vector<int64_t> LoopThreeNearest(const std::vector<float>& queries,
                                      const std::vector<float>& known) {
  std::vector<int64_t> index;
  for (int64_t q = 0; q < Rows(queries, 3); ++q) {
    float best[3] = {kInfinity, kInfinity, kInfinity};
    int64_t who[3] = {0, 0, 0};
    for (int64_t i = 0; i < Rows(known, 3); ++i) {
      const float d = SquaredDistance(known.data() + 3 * i, queries.data() + 3 * q);
      for (int place = 0; place < 3; ++place) {
        if (d >= best[place]) continue;
        for (int j = 2; j > place; --j) {
          best[j] = best[j - 1];
          who[j] = who[j - 1];
        }
        best[place] = d;
        who[place] = i;
        break;
      }
    }
    index.insert(index.end(), who, who + 3);
  }
  return index;
}

std::vector<float> LoopGather(const std::vector<float>& table, int64_t channels,
                              const std::vector<int64_t>& index) {
  std::vector<float> rows(index.size() * static_cast<size_t>(channels));
  for (size_t e = 0; e < index.size(); ++e) {
    for (int64_t c = 0; c < channels; ++c) {
      rows[e * static_cast<size_t>(channels) + static_cast<size_t>(c)] =
          table[static_cast<size_t>(index[e] * channels + c)];
    }
  }
  return rows;
}

std::vector<float> LoopScatter(const std::vector<float>& rows, int64_t channels,
                               const std::vector<int64_t>& index, int64_t table_rows) {
  std::vector<float> table(static_cast<size_t>(table_rows * channels), 0);
  for (size_t e = 0; e < index.size(); ++e) {
    for (int64_t c = 0; c < channels; ++c) {
      table[static_cast<size_t>(index[e] * channels + c)] +=
          rows[e * static_cast<size_t>(channels) + static_cast<size_t>(c)];
    }
  }
  return table;
}

std::vector<float> LoopGroupMax(const std::vector<float>& rows, int64_t channels, int64_t samples) {
  const int64_t groups = Rows(rows, channels) / samples;
  std::vector<float> largest(static_cast<size_t>(groups * channels), -kInfinity);
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t c = 0; c < channels; ++c) {
      float& best = largest[static_cast<size_t>(g * channels + c)];
      for (int64_t s = 0; s < samples; ++s) {
        best = std::max(best, rows[static_cast<size_t>((g * samples + s) * channels + c)]);
      }
    }
  }
  return largest;
}

std::vector<float> LoopInterpolate(const std::vector<float>& table, int64_t channels,
                                   const std::vector<int64_t>& index,
                                   const std::vector<float>& weight) {
  std::vector<float> sums;
  for (size_t q = 0; q < index.size() / 3; ++q) {
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0;
      for (size_t k = 3 * q; k < 3 * q + 3; ++k) {
        sum += weight[k] * table[static_cast<size_t>(index[k] * channels + c)];
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

std::vector<int64_t> LoopSuppress(const std::vector<float>& boxes, double threshold, bool rotated) {
  std::vector<metrics::Box3d> all;
  for (int64_t i = 0; i < Rows(boxes, 7); ++i) {
    all.push_back(detection::BoxOfRow(boxes.data() + 7 * i));
    if (!rotated) all.back().rotation_y = 0;
  }
  std::vector<int64_t> kept;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](int64_t k) {
      return metrics::IouBirdsEye(all[static_cast<size_t>(k)], all[i]) > threshold;
    });
    if (!hidden) kept.push_back(static_cast<int64_t>(i));
  }
  return kept;
}

std::vector<std::vector<int64_t>> LoopPoolRois(const std::vector<float>& xyz,
                                               const std::vector<float>& boxes, int64_t limit) {
  std::vector<std::vector<int64_t>> pooled;
  for (int64_t b = 0; b < Rows(boxes, 7); ++b) {
    const float* box = boxes.data() + 7 * b;
    const float half_height = box[3] / 2 + 1, half_width = box[4] / 2 + 1;
    const float half_length = box[5] / 2 + 1, centre_y = box[1] + 1 - half_height;
    std::vector<int64_t>& inside = pooled.emplace_back();
    for (int64_t i = 0; i < Rows(xyz, 3); ++i) {
      if (static_cast<int64_t>(inside.size()) == limit) break;
      const float dx = xyz[static_cast<size_t>(3 * i)] - box[0];
      const float dy = xyz[static_cast<size_t>(3 * i + 1)] - centre_y;
      const float dz = xyz[static_cast<size_t>(3 * i + 2)] - box[2];
      if (std::fabs(dx) > 10 || std::fabs(dz) > 10 || std::fabs(dy) > half_height) continue;
      const float cos = std::cos(box[6]), sin = std::sin(box[6]);
      if (std::fabs(dx * cos - dz * sin) <= half_length &&
          std::fabs(dx * sin + dz * cos) <= half_width) {
        inside.push_back(i);
      }
    }
  }
  return pooled;
}

}  // namespace backfire::benchmarks
