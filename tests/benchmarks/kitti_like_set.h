#pragma once

#include <cstdint>
#include <filesystem>

namespace backfire::benchmarks {

/// What a generated set holds.
struct KittiLikeSet {
  int64_t labels = 0, detections = 0;
};

/// Writes labels (`folder`/label_2) and detections (`folder`/results/data) shaped like KITTI's
/// validation split with a fair detector's results: KITTI's mix of classes, sizes and distances,
/// projected with its camera, occluded and cut off; found with noise, missed, found twice, and
/// found where nothing is. The same seed gives the same bytes.
KittiLikeSet WriteKittiLikeSet(const std::filesystem::path& folder, int64_t frames, uint64_t seed);

}  // namespace backfire::benchmarks
