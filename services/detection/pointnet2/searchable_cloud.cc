#include "services/detection/pointnet2/searchable_cloud.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "services/base/target_clones.h"

namespace backfire::pointnet2 {
namespace {

constexpr int64_t kBlock = 32;  // Points of a block.
constexpr int64_t kLanes = 16;  // Blocks are padded to a multiple of it.
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Spreads the low 10 bits so that two zeros follow each.
uint32_t Spread(uint32_t v) {
  v = (v | (v << 16)) & 0x030000FFu;
  v = (v | (v << 8)) & 0x0300F00Fu;
  v = (v | (v << 4)) & 0x030C30C3u;
  return (v | (v << 2)) & 0x09249249u;
}

struct Boxes {
  const float *low_x, *low_y, *low_z, *high_x, *high_y, *high_z;
};

}  // namespace

// Outside of the anonymous namespace, because versions of a function are chosen by symbol.
namespace internal {

// Lower bounds of the squared distance from a point to each block's points.
BACKFIRE_VECTOR_TARGETS
void BlockDistances(const Boxes& box, int64_t blocks, const float* p, float* bounds) {
  const float px = p[0], py = p[1], pz = p[2];
#pragma omp simd
  for (int64_t b = 0; b < blocks; ++b) {
    float dx = box.low_x[b] - px, dy = box.low_y[b] - py, dz = box.low_z[b] - pz;
    const float ex = px - box.high_x[b], ey = py - box.high_y[b], ez = pz - box.high_z[b];
    dx = dx > ex ? dx : ex;
    dy = dy > ey ? dy : ey;
    dz = dz > ez ? dz : ez;
    dx = dx > 0 ? dx : 0;
    dy = dy > 0 ? dy : 0;
    dz = dz > 0 ? dz : 0;
    bounds[b] = (dx * dx + dy * dy) + dz * dz;
  }
}

// Which blocks could hold a point nearer than their limit.
BACKFIRE_VECTOR_TARGETS
void BlocksBelow(const float* bounds, const float* limits, int64_t blocks, uint8_t* below) {
#pragma omp simd
  for (int64_t b = 0; b < blocks; ++b) below[b] = bounds[b] < limits[b] ? 1 : 0;
}

BACKFIRE_VECTOR_TARGETS
void BlocksAtMost(const float* bounds, float limit, int64_t blocks, uint8_t* at_most) {
#pragma omp simd
  for (int64_t b = 0; b < blocks; ++b) at_most[b] = bounds[b] <= limit ? 1 : 0;
}

// Squared distances of a block's points, and which of them are at most `limit`.
BACKFIRE_VECTOR_TARGETS
void PointDistances(const float* x, const float* y, const float* z, const float* p, float limit,
                    float* d, uint8_t* at_most) {
  const float px = p[0], py = p[1], pz = p[2];
#pragma omp simd
  for (int64_t i = 0; i < kBlock; ++i) {
    const float dx = x[i] - px, dy = y[i] - py, dz = z[i] - pz;
    d[i] = (dx * dx + dy * dy) + dz * dz;
    at_most[i] = d[i] <= limit ? 1 : 0;
  }
}

// Lowers the distances of a block's points to the nearest chosen one; returns the largest.
BACKFIRE_VECTOR_TARGETS
float LowerDistances(const float* x, const float* y, const float* z, const float* p,
                     float* nearest) {
  const float px = p[0], py = p[1], pz = p[2];
  float largest = -1;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < kBlock; ++i) {
    const float dx = x[i] - px, dy = y[i] - py, dz = z[i] - pz;
    const float d = (dx * dx + dy * dy) + dz * dz;
    const float lowered = d < nearest[i] ? d : nearest[i];
    nearest[i] = lowered;
    largest = lowered > largest ? lowered : largest;
  }
  return largest;
}

BACKFIRE_VECTOR_TARGETS
float Largest(const float* values, int64_t count) {
  float largest = -1;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
  return largest;
}

BACKFIRE_VECTOR_TARGETS
float Smallest(const float* values, int64_t count) {
  float smallest = kInfinity;
#pragma omp simd reduction(min : smallest)
  for (int64_t i = 0; i < count; ++i) smallest = values[i] < smallest ? values[i] : smallest;
  return smallest;
}

}  // namespace internal

namespace {

// Calls `visit(block)` for every block whose flag is set.
template <typename Visit>
void ForEachFlagged(const uint8_t* flags, int64_t blocks, const Visit& visit) {
  for (int64_t b = 0; b < blocks; b += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, flags + b, sizeof(eight));
    if (eight == 0) continue;
    for (int64_t i = b; i < b + 8; ++i) {
      if (flags[i] != 0) visit(i);
    }
  }
}

}  // namespace

SearchableCloud::SearchableCloud(const float* xyz, int64_t count) : count_(count) {
  // A Morton curve of 1024 cells a side, equally long in all directions.
  float low[3] = {0, 0, 0}, extent = 1e-6f;
  for (int axis = 0; axis < 3 && count > 0; ++axis) {
    float high = xyz[axis];
    low[axis] = xyz[axis];
    for (int64_t i = 1; i < count; ++i) {
      low[axis] = std::min(low[axis], xyz[3 * i + axis]);
      high = std::max(high, xyz[3 * i + axis]);
    }
    extent = std::max(extent, high - low[axis]);
  }
  const float scale = 1023.0f / extent;
  std::vector<uint64_t> keys(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    uint32_t key = 0;
    for (int axis = 0; axis < 3; ++axis) {
      const float cell = (xyz[3 * i + axis] - low[axis]) * scale;
      key |= Spread(static_cast<uint32_t>(std::min(cell, 1023.0f))) << axis;
    }
    keys[static_cast<size_t>(i)] = (static_cast<uint64_t>(key) << 32) | static_cast<uint64_t>(i);
  }
  std::sort(keys.begin(), keys.end());

  const int64_t filled = (count + kBlock - 1) / kBlock;
  blocks_ = (filled + kLanes - 1) / kLanes * kLanes;
  const auto points = static_cast<size_t>(blocks_ * kBlock), boxes = static_cast<size_t>(blocks_);
  x_.assign(points, kInfinity);
  y_.assign(points, kInfinity);
  z_.assign(points, kInfinity);
  original_.assign(points, std::numeric_limits<int32_t>::max());
  for (auto* bounds : {&low_x_, &low_y_, &low_z_, &high_x_, &high_y_, &high_z_}) {
    bounds->assign(boxes, kInfinity);
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto slot = static_cast<size_t>(i), block = static_cast<size_t>(i / kBlock);
    const auto from = static_cast<int64_t>(keys[slot] & 0xFFFFFFFFu);
    const float x = xyz[3 * from], y = xyz[3 * from + 1], z = xyz[3 * from + 2];
    x_[slot] = x;
    y_[slot] = y;
    z_[slot] = z;
    original_[slot] = static_cast<int32_t>(from);
    const bool first = i % kBlock == 0;
    low_x_[block] = first ? x : std::min(low_x_[block], x);
    low_y_[block] = first ? y : std::min(low_y_[block], y);
    low_z_[block] = first ? z : std::min(low_z_[block], z);
    high_x_[block] = first ? x : std::max(high_x_[block], x);
    high_y_[block] = first ? y : std::max(high_y_[block], y);
    high_z_[block] = first ? z : std::max(high_z_[block], z);
  }
}

void SearchableCloud::FarthestPoints(int64_t sample_count, int64_t* indices) const {
  if (sample_count <= 0 || count_ == 0) return;
  const auto blocks = static_cast<size_t>(blocks_);
  const Boxes boxes{low_x_.data(),  low_y_.data(),  low_z_.data(),
                    high_x_.data(), high_y_.data(), high_z_.data()};
  std::vector<float> nearest(x_.size(), -1);  // Padding is never the farthest.
  std::fill_n(nearest.begin(), count_, kInfinity);
  std::vector<float> farthest(blocks, -1), bounds(blocks);  // Of each block.
  std::fill_n(farthest.begin(), (count_ + kBlock - 1) / kBlock, kInfinity);
  std::vector<uint8_t> touched(blocks);

  const auto slot_of_first =
      static_cast<int64_t>(std::find(original_.begin(), original_.end(), 0) - original_.begin());
  int64_t slot = slot_of_first;
  indices[0] = 0;
  for (int64_t k = 1; k < sample_count; ++k) {
    const auto at = static_cast<size_t>(slot);
    const float p[3] = {x_[at], y_[at], z_[at]};
    internal::BlockDistances(boxes, blocks_, p, bounds.data());
    internal::BlocksBelow(bounds.data(), farthest.data(), blocks_, touched.data());
    ForEachFlagged(touched.data(), blocks_, [&](int64_t b) {
      const int64_t start = b * kBlock;
      farthest[static_cast<size_t>(b)] = internal::LowerDistances(
          x_.data() + start, y_.data() + start, z_.data() + start, p, nearest.data() + start);
    });
    const float largest = internal::Largest(farthest.data(), blocks_);
    if (largest <= 0) {  // Every distinct point is chosen.
      std::fill(indices + k, indices + sample_count, 0);
      return;
    }
    int32_t best = std::numeric_limits<int32_t>::max();
    for (int64_t b = 0; b < blocks_; ++b) {
      if (farthest[static_cast<size_t>(b)] != largest) continue;
      for (int64_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
        const auto candidate = static_cast<size_t>(i);
        if (nearest[candidate] == largest && original_[candidate] < best) {
          best = original_[candidate];
          slot = i;
        }
      }
    }
    indices[k] = best;
  }
}

int64_t SearchableCloud::WithinRadius(const float* centre, float radius, int64_t limit,
                                      int64_t* indices) const {
  const float squared_radius = radius * radius;
  const Boxes boxes{low_x_.data(),  low_y_.data(),  low_z_.data(),
                    high_x_.data(), high_y_.data(), high_z_.data()};
  thread_local std::vector<float> bounds;
  thread_local std::vector<uint8_t> touched;
  thread_local std::vector<int32_t> found;
  bounds.resize(static_cast<size_t>(blocks_));
  touched.resize(static_cast<size_t>(blocks_));
  found.clear();
  internal::BlockDistances(boxes, blocks_, centre, bounds.data());
  internal::BlocksAtMost(bounds.data(), squared_radius, blocks_, touched.data());
  float distances[kBlock];
  uint8_t near[kBlock];
  ForEachFlagged(touched.data(), blocks_, [&](int64_t b) {
    const int64_t start = b * kBlock;
    internal::PointDistances(x_.data() + start, y_.data() + start, z_.data() + start, centre,
                             squared_radius, distances, near);
    ForEachFlagged(near, kBlock, [&](int64_t i) {
      if (distances[i] < squared_radius) found.push_back(original_[static_cast<size_t>(start + i)]);
    });
  });
  const auto kept = std::min<int64_t>(limit, static_cast<int64_t>(found.size()));
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(kept);
  if (end != found.end()) std::nth_element(found.begin(), end, found.end());
  std::sort(found.begin(), end);
  std::copy(found.begin(), end, indices);
  return kept;
}

void SearchableCloud::ThreeNearest(const float* query, int64_t* indices,
                                   float* squared_distances) const {
  const Boxes boxes{low_x_.data(),  low_y_.data(),  low_z_.data(),
                    high_x_.data(), high_y_.data(), high_z_.data()};
  thread_local std::vector<float> bounds;
  thread_local std::vector<uint8_t> touched;
  bounds.resize(static_cast<size_t>(blocks_));
  touched.resize(static_cast<size_t>(blocks_));
  float best[3] = {kInfinity, kInfinity, kInfinity};
  int32_t who[3] = {std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::max(),
                    std::numeric_limits<int32_t>::max()};
  float distances[kBlock];
  uint8_t near[kBlock];
  const auto search = [&](int64_t b) {
    const int64_t start = b * kBlock;
    internal::PointDistances(x_.data() + start, y_.data() + start, z_.data() + start, query,
                             best[2], distances, near);
    ForEachFlagged(near, kBlock, [&](int64_t i) {
      const float d = distances[i];
      const int32_t index = original_[static_cast<size_t>(start + i)];
      int place = 3;
      while (place > 0 && (d < best[place - 1] || (d == best[place - 1] && index < who[place - 1])))
        --place;
      if (place == 3 || d == kInfinity) return;
      for (int j = 2; j > place; --j) {
        best[j] = best[j - 1];
        who[j] = who[j - 1];
      }
      best[place] = d;
      who[place] = index;
    });
  };
  internal::BlockDistances(boxes, blocks_, query, bounds.data());
  const float closest = internal::Smallest(bounds.data(), blocks_);
  const auto nearest_block =
      static_cast<int64_t>(std::find(bounds.begin(), bounds.end(), closest) - bounds.begin());
  if (count_ > 0) search(nearest_block);
  internal::BlocksAtMost(bounds.data(), best[2], blocks_, touched.data());
  ForEachFlagged(touched.data(), blocks_, [&](int64_t b) {
    // The bound has tightened since the flags were set.
    if (b != nearest_block && bounds[static_cast<size_t>(b)] <= best[2]) search(b);
  });
  for (int j = 0; j < 3; ++j) {
    const bool found = best[j] < kInfinity;
    indices[j] = found ? who[j] : 0;
    squared_distances[j] = best[j];
  }
}

}  // namespace backfire::pointnet2
