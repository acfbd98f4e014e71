#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace backfire::conformance {

/// Number of the cluster of each example, as v1.Bootstrap numbers them: from 0 in the order in
/// which the split has them first; an example whose name is empty is a cluster by itself.
std::vector<size_t> NumberClusters(const std::vector<std::string>& names);

/// Resamples by what they hold: how often each of `cluster_count` clusters is drawn -> the
/// resamples from 0 to `resample_count` - 1 of `seed` that draw just that. Whatever a loss is, it
/// is the same on all of one group, and on the group of once each it is that of the split as it is.
std::map<std::vector<int32_t>, std::vector<int>> GroupResamples(uint64_t seed, int resample_count,
                                                                int64_t cluster_count);

/// Pairs of seeds whose first resamples draw the same clusters in another order; empty where they
/// are too rare to be found, from some two dozen clusters.
std::vector<std::pair<uint64_t, uint64_t>> FindTwinSeeds(int64_t cluster_count, size_t most);

}  // namespace backfire::conformance
