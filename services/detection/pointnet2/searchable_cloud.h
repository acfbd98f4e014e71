#pragma once

#include <cstdint>
#include <vector>

namespace backfire::pointnet2 {

/// Points arranged for searching: along a space-filling curve, in blocks that have bounding boxes.
/// Distances are squared, computed in float as (dx * dx + dy * dy) + dz * dz. A block is skipped
/// only where its box is too far by the same arithmetic, whose rounding is monotone, so that every
/// answer is the brute force's to the bit. Immutable, hence thread-safe.
class SearchableCloud {
 public:
  /// @param xyz  [count, 3], metres, finite; copied.
  SearchableCloud(const float* xyz, int64_t count);

  int64_t size() const { return count_; }

  /// Farthest-point sampling: starts with point 0; each next is the point with the largest distance
  /// to its nearest chosen one, the lowest index among equals.
  /// @param indices  [sample_count], filled. Where there are fewer distinct points, 0 is repeated.
  void FarthestPoints(int64_t sample_count, int64_t* indices) const;

  /// The points strictly nearer than `radius` to `centre`: the first `limit` in the order of their
  /// indices. Returns how many there are (at most `limit`).
  /// @param indices  [limit], the first of which are filled.
  int64_t WithinRadius(const float* centre, float radius, int64_t limit, int64_t* indices) const;

  /// The three nearest points to `query`, nearest first, lowest index first among equals. Where
  /// there are fewer, the rest is index 0 at an infinite distance.
  void ThreeNearest(const float* query, int64_t* indices, float* squared_distances) const;

 private:
  const int64_t count_;
  int64_t blocks_ = 0;
  std::vector<float> x_, y_, z_;   // [blocks_ * kBlock], padded with infinity.
  std::vector<int32_t> original_;  // The index that each had; padding has INT32_MAX.
  // [blocks_], padded to whole vectors with boxes at infinity.
  std::vector<float> low_x_, low_y_, low_z_, high_x_, high_y_, high_z_;
};

}  // namespace backfire::pointnet2
