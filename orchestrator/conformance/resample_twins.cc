#include "orchestrator/conformance/resample_twins.h"

#include <unordered_map>

#include "services/base/random.h"
#include "services/base/resampling.h"

namespace backfire::conformance {
namespace {

constexpr uint64_t kSeedsToSearch = 1 << 19;
// A chance of 0.3 per cluster that two resamples draw it equally often: beyond, none are found.
constexpr int64_t kMostClusters = 28;

uint64_t Hash(const std::vector<int32_t>& counts) {
  uint64_t hash = 0;
  for (const int32_t count : counts) hash = SplitMix64(hash + static_cast<uint64_t>(count));
  return hash;
}

}  // namespace

std::vector<size_t> NumberClusters(const std::vector<std::string>& names) {
  std::map<std::string, size_t> numbers;
  std::vector<size_t> cluster_of;
  size_t next = 0;
  for (const std::string& name : names) {
    if (name.empty()) {
      cluster_of.push_back(next++);
      continue;
    }
    const auto [found, is_new] = numbers.emplace(name, next);
    if (is_new) ++next;
    cluster_of.push_back(found->second);
  }
  return cluster_of;
}

std::map<std::vector<int32_t>, std::vector<int>> GroupResamples(uint64_t seed, int resample_count,
                                                                int64_t cluster_count) {
  std::map<std::vector<int32_t>, std::vector<int>> groups;
  for (int b = 0; b < resample_count; ++b) {
    groups[ResampleCounts(seed, b, cluster_count)].push_back(b);
  }
  return groups;
}

std::vector<std::pair<uint64_t, uint64_t>> FindTwinSeeds(int64_t cluster_count, size_t most) {
  std::vector<std::pair<uint64_t, uint64_t>> twins;
  if (cluster_count > kMostClusters) return twins;
  std::unordered_map<uint64_t, uint64_t> seeds;  // By the hash of what they draw.
  for (uint64_t seed = 0; seed < kSeedsToSearch && twins.size() < most; ++seed) {
    const std::vector<int32_t> counts = ResampleCounts(seed, 0, cluster_count);
    const auto [found, is_new] = seeds.emplace(Hash(counts), seed);
    if (!is_new && ResampleCounts(found->second, 0, cluster_count) == counts) {
      twins.emplace_back(found->second, seed);
      found->second = seed;
    }
  }
  return twins;
}

}  // namespace backfire::conformance
