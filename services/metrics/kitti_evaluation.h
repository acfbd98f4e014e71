#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/metrics/matching_rules.h"
#include "services/metrics/precision_recall.h"

namespace backfire::metrics {

/// Matches all images under each set of rules; overlaps are computed once for all of them. Images
/// go in parallel; the result does not depend on the number of threads.
/// @param threads  At least 1.
/// @return         A pool per set of rules, in order.
std::vector<MatchPool> MatchAll(const std::vector<ImageObjects>& images,
                                const std::vector<AveragePrecisionOptions>& rules, int threads);

/// How one class is evaluated.
struct ClassRules {
  std::string type;
  /// What an overlap must exceed, by view: image, bird's-eye view, 3D.
  double iou_image = 0.5, iou_birds_eye = 0.5, iou_3d = 0.5;
  std::optional<double> max_depth_m;  ///< None: no limit.
};

/// KITTI's classes: Car at 0.7, Pedestrian and Cyclist at 0.5.
std::vector<ClassRules> KittiClasses();

/// The sets of rules of a whole evaluation: by class, then view (image, bird's-eye view, 3D), then
/// difficulty (easy, moderate, hard).
/// @param range_mode  What the classes' max_depth_m does.
std::vector<AveragePrecisionOptions> KittiRules(const std::vector<ClassRules>& classes,
                                                RangeMode range_mode = RangeMode::kIgnore);

/// The averages that KITTI publishes, percent. Orientation is NaN outside the image, and where it
/// is switched off.
struct KittiAverages {
  double ap11 = 0, ap40 = 0, aos11 = 0, aos40 = 0;
};
KittiAverages AveragesOf(const PrecisionRecall& result);

/// The averages of bootstrap resamples of the images: exactly what evaluating the resampled files
/// would say, at the cost of adding up.
/// @param seed   Keys the generator that v1.Bootstrap fixes bit for bit: one seed, the same images
///               for every pool.
/// @param pools  Of the same images.
/// @return       By pool, by resample. Does not depend on the number of threads.
std::vector<std::vector<KittiAverages>> BootstrapAverages(const std::vector<MatchPool>& pools,
                                                          uint64_t seed, int32_t resample_count,
                                                          int threads);

}  // namespace backfire::metrics
