#include "services/pointcloud/subsampling.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "services/base/choose.h"
#include "services/base/random.h"

namespace backfire::pointcloud {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;
constexpr double kHighestRad = 2 * kDegree;
constexpr double kElevationsRad = 25.6 * kDegree;  // 0.4 degrees for each of 64 beams.
constexpr double kAzimuthsRad = 90 * kDegree;

struct Voxel {
  int64_t x, y, z;
  bool operator==(const Voxel& other) const { return x == other.x && y == other.y && z == other.z; }
  template <typename H>
  friend H AbslHashValue(H hash, const Voxel& voxel) {
    return H::combine(std::move(hash), voxel.x, voxel.y, voxel.z);
  }
};

}  // namespace

std::vector<int64_t> SampleBeams(const float* points, int64_t count, int64_t columns,
                                 const BeamPattern& pattern) {
  struct Best {
    int64_t point = -1;
    double distance = 0;
  };
  std::vector<Best> cells(static_cast<size_t>(pattern.beams * pattern.columns));
  for (int64_t i = 0; i < count; ++i) {
    const float* p = points + i * columns;
    const double x = p[0], y = p[1], z = p[2];
    const double row = (kHighestRad - std::atan2(-y, std::hypot(x, z))) / kElevationsRad *
                       static_cast<double>(pattern.beams);
    const double column =
        (std::atan2(x, z) / kAzimuthsRad + 0.5) * static_cast<double>(pattern.columns);
    if (!(row >= 0 && row < static_cast<double>(pattern.beams) && column >= 0 &&
          column < static_cast<double>(pattern.columns))) {
      continue;
    }
    const auto r = static_cast<int64_t>(row), c = static_cast<int64_t>(column);
    Best& best = cells[static_cast<size_t>(r * pattern.columns + c)];
    const double distance =
        std::hypot(row - static_cast<double>(r) - 0.5, column - static_cast<double>(c) - 0.5);
    if (best.point < 0 || distance < best.distance) best = {i, distance};
  }
  std::vector<int64_t> kept;
  for (const Best& best : cells) {
    if (best.point >= 0) kept.push_back(best.point);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

std::vector<int64_t> SampleRandom(int64_t count, int64_t kept, uint64_t seed) {
  Random random(seed);
  return Choose(count, kept, random);
}

std::vector<int64_t> SampleVoxels(const float* points, int64_t count, int64_t columns,
                                  double edge_m, uint64_t seed) {
  struct Best {
    int64_t point;
    uint64_t rank;
  };
  absl::flat_hash_map<Voxel, Best> voxels;
  Random random(seed);
  for (int64_t i = 0; i < count; ++i) {
    const float* p = points + i * columns;
    const Voxel voxel{static_cast<int64_t>(std::floor(p[0] / edge_m)),
                      static_cast<int64_t>(std::floor(p[1] / edge_m)),
                      static_cast<int64_t>(std::floor(p[2] / edge_m))};
    const Best candidate{i, random.Bits()};
    const auto [found, added] = voxels.try_emplace(voxel, candidate);
    if (!added && candidate.rank < found->second.rank) found->second = candidate;
  }
  std::vector<int64_t> kept;
  kept.reserve(voxels.size());
  for (const auto& [voxel, best] : voxels) kept.push_back(best.point);
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace backfire::pointcloud
