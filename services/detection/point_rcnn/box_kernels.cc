#include "services/detection/point_rcnn/box_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "services/base/target_clones.h"

namespace backfire::detection {
namespace {

struct Vertex {
  double x = 0, z = 0;
};

// A convex polygon of at most 8 vertices: a rectangle after four cuts.
struct Polygon {
  std::array<Vertex, 9> vertices;
  int size = 0;
  void Add(Vertex v) { vertices[static_cast<size_t>(size++)] = v; }
};

// The part of a polygon where sign * (x or z) <= limit.
Polygon Cut(const Polygon& polygon, double Vertex::*axis, double sign, double limit) {
  Polygon rest;
  for (int i = 0; i < polygon.size; ++i) {
    const Vertex& a = polygon.vertices[static_cast<size_t>(i)];
    const Vertex& b = polygon.vertices[static_cast<size_t>((i + 1) % polygon.size)];
    const double out_a = sign * (a.*axis) - limit, out_b = sign * (b.*axis) - limit;
    if (out_a <= 0) rest.Add(a);
    if ((out_a < 0 && out_b > 0) || (out_a > 0 && out_b < 0)) {
      const double t = out_a / (out_a - out_b);
      rest.Add({a.x + t * (b.x - a.x), a.z + t * (b.z - a.z)});
    }
  }
  return rest;
}

double Area(const Polygon& polygon) {
  double twice = 0;
  for (int i = 0; i < polygon.size; ++i) {
    const Vertex& a = polygon.vertices[static_cast<size_t>(i)];
    const Vertex& b = polygon.vertices[static_cast<size_t>((i + 1) % polygon.size)];
    twice += a.x * b.z - a.z * b.x;
  }
  return std::abs(twice) / 2;
}

double Footprint(const float* box) { return static_cast<double>(box[4]) * box[5]; }

bool IsFinite(const float* box) {
  return std::all_of(box, box + kBoxColumns, [](float v) { return std::isfinite(v); });
}

}  // namespace

double FootprintOverlap(const float* a, const float* b) {
  const double dx = static_cast<double>(b[0]) - a[0], dz = static_cast<double>(b[2]) - a[2];
  const double reach = (std::hypot(a[4], a[5]) + std::hypot(b[4], b[5])) / 2;
  if (!(dx * dx + dz * dz < reach * reach)) return 0;
  // In a's frame, where a is upright. The length lies along (cos, -sin) in (x, z).
  const double cos_a = std::cos(a[6]), sin_a = std::sin(a[6]);
  const Vertex centre{cos_a * dx - sin_a * dz, sin_a * dx + cos_a * dz};
  const double turn = static_cast<double>(b[6]) - a[6];
  const double c = std::cos(turn), s = std::sin(turn), l = b[5] / 2.0, w = b[4] / 2.0;
  Polygon polygon;
  for (const auto& [along, across] : {std::pair(l, w), {l, -w}, {-l, -w}, {-l, w}}) {
    polygon.Add({centre.x + c * along + s * across, centre.z - s * along + c * across});
  }
  for (const double sign : {1.0, -1.0}) {
    polygon = Cut(polygon, &Vertex::x, sign, a[5] / 2.0);
    polygon = Cut(polygon, &Vertex::z, sign, a[4] / 2.0);
  }
  return Area(polygon);
}

double FootprintIou(const float* a, const float* b) {
  const double overlap = FootprintOverlap(a, b);
  const double together = Footprint(a) + Footprint(b) - overlap;
  return overlap > 0 && together > 0 ? overlap / together : 0;
}

double BoxIou(const float* a, const float* b) {
  // y points down: a box reaches from y - height to y.
  const double common = std::min(a[1], b[1]) - std::max(static_cast<double>(a[1]) - a[3],
                                                        static_cast<double>(b[1]) - b[3]);
  if (!(common > 0)) return 0;
  const double overlap = FootprintOverlap(a, b) * common;
  const double together = Footprint(a) * a[3] + Footprint(b) * b[3] - overlap;
  return overlap > 0 && together > 0 ? overlap / together : 0;
}

std::vector<int64_t> SuppressRotated(const float* boxes, int64_t count, double threshold,
                                     int64_t limit) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < count && static_cast<int64_t>(kept.size()) < limit; ++i) {
    const float* box = boxes + i * kBoxColumns;
    if (!IsFinite(box)) continue;
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](int64_t k) {
      return FootprintIou(boxes + k * kBoxColumns, box) > threshold;
    });
    if (!hidden) kept.push_back(i);
  }
  return kept;
}

namespace internal {

// Whether a rectangle overlaps one of `count` others by more than a threshold.
BACKFIRE_VECTOR_TARGETS
bool OverlapsAny(const float* left, const float* right, const float* top, const float* bottom,
                 const float* area, int64_t count, const float* rectangle, float own_area,
                 float threshold) {
  const float l = rectangle[0], r = rectangle[1], t = rectangle[2], b = rectangle[3];
  for (int64_t start = 0; start < count; start += 64) {
    const int64_t end = std::min<int64_t>(count, start + 64);
    int any = 0;
#pragma omp simd reduction(| : any)
    for (int64_t k = start; k < end; ++k) {
      float width = (r < right[k] ? r : right[k]) - (l > left[k] ? l : left[k]);
      float height = (b < bottom[k] ? b : bottom[k]) - (t > top[k] ? t : top[k]);
      width = width > 0 ? width : 0;
      height = height > 0 ? height : 0;
      const float overlap = width * height;
      float together = own_area + area[k] - overlap;
      together = together > 1e-8f ? together : 1e-8f;
      any |= overlap / together > threshold ? 1 : 0;
    }
    if (any != 0) return true;
  }
  return false;
}

BACKFIRE_VECTOR_TARGETS
void FlagInside(const float* x, const float* y, const float* z, int64_t count, const float* box,
                float reach, uint8_t* inside) {
  const float cos = std::cos(box[6]), sin = std::sin(box[6]);
  const float half_height = box[3] / 2, half_width = box[4] / 2, half_length = box[5] / 2;
  const float centre_x = box[0], centre_y = box[1] - half_height, centre_z = box[2];
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float dx = x[i] - centre_x, dy = y[i] - centre_y, dz = z[i] - centre_z;
    const float along = dx * cos - dz * sin, across = dx * sin + dz * cos;
    const int high = std::fabs(dy) <= half_height, near_x = std::fabs(dx) <= reach;
    const int near_z = std::fabs(dz) <= reach, long_in = std::fabs(along) <= half_length;
    const int wide_in = std::fabs(across) <= half_width;
    inside[i] = static_cast<uint8_t>(high & near_x & near_z & long_in & wide_in);
  }
}

}  // namespace internal

std::vector<int64_t> SuppressAligned(const float* boxes, int64_t count, float threshold,
                                     int64_t limit) {
  std::vector<int64_t> kept;
  std::vector<float> left, right, top, bottom, area;
  for (int64_t i = 0; i < count && static_cast<int64_t>(kept.size()) < limit; ++i) {
    const float* box = boxes + i * kBoxColumns;
    if (!IsFinite(box)) continue;
    const float half_length = box[5] / 2, half_width = box[4] / 2;
    const float rectangle[4] = {box[0] - half_length, box[0] + half_length, box[2] - half_width,
                                box[2] + half_width};
    const float own = (rectangle[1] - rectangle[0]) * (rectangle[3] - rectangle[2]);
    if (internal::OverlapsAny(left.data(), right.data(), top.data(), bottom.data(), area.data(),
                              static_cast<int64_t>(kept.size()), rectangle, own, threshold)) {
      continue;
    }
    kept.push_back(i);
    left.push_back(rectangle[0]);
    right.push_back(rectangle[1]);
    top.push_back(rectangle[2]);
    bottom.push_back(rectangle[3]);
    area.push_back(own);
  }
  return kept;
}

PointColumns::PointColumns(const float* xyz, int64_t count) {
  for (auto* column : {&x, &y, &z}) column->resize(static_cast<size_t>(count));
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    x[i] = xyz[3 * i];
    y[i] = xyz[3 * i + 1];
    z[i] = xyz[3 * i + 2];
  }
}

std::vector<int64_t> PointsInBox(const PointColumns& points, const float* box, float reach,
                                 int64_t limit, int64_t* count) {
  const auto size = static_cast<int64_t>(points.x.size());
  thread_local std::vector<uint8_t> inside;
  inside.assign((points.x.size() + 7) / 8 * 8, 0);
  internal::FlagInside(points.x.data(), points.y.data(), points.z.data(), size, box, reach,
                       inside.data());
  std::vector<int64_t> indices;
  int64_t found = 0;
  for (int64_t eight = 0; eight < size; eight += 8) {
    uint64_t any = 0;
    std::memcpy(&any, inside.data() + eight, sizeof(any));
    if (any == 0) continue;
    for (int64_t i = eight; i < eight + 8; ++i) {
      if (inside[static_cast<size_t>(i)] == 0) continue;
      if (found++ < limit) indices.push_back(i);
    }
  }
  if (count != nullptr) *count = found;
  return indices;
}

}  // namespace backfire::detection
