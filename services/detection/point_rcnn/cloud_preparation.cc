#include "services/detection/point_rcnn/cloud_preparation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace backfire::detection {
namespace {

constexpr float kMaxSideM = 40, kLowestY = -1, kHighestY = 3;
constexpr float kFarM = 40;
constexpr int64_t kElevations = 64, kAzimuths = 512;
constexpr double kDegree = M_PI / 180;
constexpr double kTopElevation = 2 * kDegree, kBottomElevation = -24.8 * kDegree;
constexpr double kAzimuthLimit = 45 * kDegree;

// The best point of every direction, as a rising list of indices.
std::vector<int64_t> AngularMap(const std::vector<float>& points) {
  std::vector<std::pair<double, int64_t>> best(static_cast<size_t>(kElevations * kAzimuths),
                                               {std::numeric_limits<double>::infinity(), -1});
  for (size_t i = 0; i < points.size() / 3; ++i) {
    const double x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2];
    const double column = (std::atan2(x, z) + kAzimuthLimit) / (2 * kAzimuthLimit) * kAzimuths;
    const double row = (kTopElevation - std::atan2(-y, std::hypot(x, z))) /
                       (kTopElevation - kBottomElevation) * kElevations;
    if (!(column >= 0 && column < kAzimuths && row >= 0 && row < kElevations)) continue;
    const double off_column = column - std::floor(column) - 0.5,
                 off_row = row - std::floor(row) - 0.5;
    const double off = off_column * off_column + off_row * off_row;
    auto& cell = best[static_cast<size_t>(std::floor(row)) * kAzimuths +
                      static_cast<size_t>(std::floor(column))];
    if (off < cell.first) cell = {off, static_cast<int64_t>(i)};
  }
  std::vector<int64_t> kept;
  for (const auto& [off, index] : best) {
    if (index >= 0) kept.push_back(index);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

// Puts `count` entries drawn without replacement to the front.
void DrawToFront(std::vector<int64_t>& entries, size_t count, Random& random) {
  for (size_t i = 0; i < count; ++i) {
    const auto rest = static_cast<int64_t>(entries.size() - i);
    std::swap(entries[i], entries[i + static_cast<size_t>(random.Below(rest))]);
  }
}

std::vector<float> Pick(const std::vector<float>& points, const std::vector<int64_t>& indices) {
  std::vector<float> picked;
  picked.reserve(3 * indices.size());
  for (const int64_t i : indices) {
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(3 * i);
    picked.insert(picked.end(), first, first + 3);
  }
  return picked;
}

}  // namespace

std::vector<float> PointsInRange(const PointCloudView& cloud, const CloudOptions& options) {
  const auto max_depth = static_cast<float>(options.max_depth_m);
  std::vector<float> points;
  for (int64_t i = 0; i < cloud.count; ++i) {
    const float* p = cloud.point(i);
    // Written so that what is no number is out of range.
    if (std::fabs(p[0]) <= kMaxSideM && p[1] >= kLowestY && p[1] <= kHighestY && p[2] >= 0 &&
        p[2] <= max_depth) {
      points.insert(points.end(), p, p + 3);
    }
  }
  return options.angular_map ? Pick(points, AngularMap(points)) : points;
}

std::vector<float> SamplePoints(const std::vector<float>& points, int64_t count, Random& random) {
  const auto available = points.size() / 3, wanted = static_cast<size_t>(count);
  if (available == 0) return {};
  std::vector<int64_t> chosen;
  if (available > wanted) {
    std::vector<int64_t> near, far;
    for (size_t i = 0; i < available; ++i) {
      (points[3 * i + 2] < kFarM ? near : far).push_back(static_cast<int64_t>(i));
    }
    if (far.size() > wanted) DrawToFront(far, wanted, random);
    far.resize(std::min(far.size(), wanted));
    DrawToFront(near, wanted - far.size(), random);
    near.resize(wanted - far.size());
    chosen = std::move(far);
    chosen.insert(chosen.end(), near.begin(), near.end());
  } else {
    std::vector<int64_t> all(available);
    for (size_t i = 0; i < available; ++i) all[i] = static_cast<int64_t>(i);
    while (chosen.size() + available <= wanted) chosen.insert(chosen.end(), all.begin(), all.end());
    const size_t missing = wanted - chosen.size();
    DrawToFront(all, missing, random);
    chosen.insert(chosen.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(missing));
  }
  DrawToFront(chosen, chosen.size(), random);
  return Pick(points, chosen);
}

}  // namespace backfire::detection
