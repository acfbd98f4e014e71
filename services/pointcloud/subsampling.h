#pragma once

#include <cstdint>
#include <vector>

namespace backfire::pointcloud {

/// Which points of a cloud are kept after back-projection.
enum class Sampling {
  kAll,
  kBeams,   ///< A pattern like a spinning LiDAR's: see SampleBeams.
  kRandom,  ///< So many, at random.
  kVoxels,  ///< One in each cube of space, at random.
};

/// Clouds are [count, columns], of which the first three are x, y, z in metres (right, down,
/// forward). All return the indices of the points that are kept, ascending; the seed decides where
/// chance does.
struct BeamPattern {
  int64_t beams = 64;     ///< Elevations, from 2 degrees up to 23.6 down, as the HDL-64E's.
  int64_t columns = 512;  ///< Azimuths over the 90 degrees ahead.
};
/// Of the points in each cell of elevation and azimuth, the one nearest to the cell's middle;
/// points outside the pattern go. (64 x 512 cells are the sparse pseudo-LiDAR of You et al., ICLR
/// 2020.)
std::vector<int64_t> SampleBeams(const float* points, int64_t count, int64_t columns,
                                 const BeamPattern& pattern);

/// `kept` points, or all where there are no more. Every subset is as likely as another.
std::vector<int64_t> SampleRandom(int64_t count, int64_t kept, uint64_t seed);

/// One point in each cube of `edge_m`, each of its points as likely.
std::vector<int64_t> SampleVoxels(const float* points, int64_t count, int64_t columns,
                                  double edge_m, uint64_t seed);

}  // namespace backfire::pointcloud
