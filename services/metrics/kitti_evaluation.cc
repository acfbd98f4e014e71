#include "services/metrics/kitti_evaluation.h"

#include <algorithm>

#include "services/base/parallel.h"
#include "services/base/resampling.h"
#include "services/metrics/frame_matcher.h"
#include "services/metrics/frame_overlaps.h"

namespace backfire::metrics {

std::vector<MatchPool> MatchAll(const std::vector<ImageObjects>& images,
                                const std::vector<AveragePrecisionOptions>& rules, int threads) {
  std::array<bool, 3> views{};
  for (const AveragePrecisionOptions& options : rules) {
    views[static_cast<size_t>(options.view)] = true;
  }
  std::vector<std::vector<FrameMatches>> matches(rules.size());
  for (auto& frames : matches) frames.resize(images.size());
  ParallelFor(static_cast<int64_t>(images.size()), threads, [&](int64_t i) {
    thread_local FrameOverlaps overlaps;
    overlaps.Compute(images[i], views);
    for (size_t r = 0; r < rules.size(); ++r) {
      MatchFrame(images[i], overlaps, rules[r], matches[r][i]);
    }
  });
  std::vector<MatchPool> pools(rules.size());
  ParallelFor(static_cast<int64_t>(rules.size()), threads, [&](int64_t r) {
    pools[r] = MatchPool(matches[r], /*with_similarity=*/rules[r].view == View::kImage);
  });
  return pools;
}

std::vector<ClassRules> KittiClasses() {
  return {{"Car", 0.7, 0.7, 0.7, std::nullopt},
          {"Pedestrian", 0.5, 0.5, 0.5, std::nullopt},
          {"Cyclist", 0.5, 0.5, 0.5, std::nullopt}};
}

std::vector<AveragePrecisionOptions> KittiRules(const std::vector<ClassRules>& classes,
                                                RangeMode range_mode) {
  std::vector<AveragePrecisionOptions> rules;
  for (const ClassRules& one : classes) {
    for (const auto& [view, iou] :
         {std::pair(View::kImage, one.iou_image), std::pair(View::kBirdsEye, one.iou_birds_eye),
          std::pair(View::k3d, one.iou_3d)}) {
      for (const Difficulty difficulty :
           {Difficulty::kEasy, Difficulty::kModerate, Difficulty::kHard}) {
        AveragePrecisionOptions options;
        options.type = one.type;
        options.view = view;
        options.iou_threshold = iou;
        options.difficulty = difficulty;
        options.max_depth_m = one.max_depth_m;
        if (one.max_depth_m.has_value()) options.range_mode = range_mode;
        rules.push_back(options);
      }
    }
  }
  return rules;
}

KittiAverages AveragesOf(const PrecisionRecall& result) {
  return {result.Average(11), result.Average(40), result.AverageSimilarity(11),
          result.AverageSimilarity(40)};
}

std::vector<std::vector<KittiAverages>> BootstrapAverages(const std::vector<MatchPool>& pools,
                                                          uint64_t seed, int32_t resample_count,
                                                          int threads) {
  std::vector<std::vector<KittiAverages>> averages(pools.size());
  for (auto& of_pool : averages) of_pool.resize(static_cast<size_t>(resample_count));
  if (pools.empty()) return averages;
  const auto image_count = static_cast<int64_t>(pools.front().image_count());
  ParallelFor(resample_count, threads, [&](int64_t b) {
    const std::vector<int32_t> counts = ResampleCounts(seed, b, image_count);
    for (size_t p = 0; p < pools.size(); ++p) averages[p][b] = AveragesOf(pools[p].Compute(counts));
  });
  return averages;
}

}  // namespace backfire::metrics
