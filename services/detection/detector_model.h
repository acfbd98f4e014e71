#pragma once

#include <memory>

#include "services/detection/detector_recipe.h"
#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::detection {

/// A detector: inputs `points` (FP32 [N, 3] or [N, 4], metres), `boxes_2d` (FP32 [N, 6], see
/// detections_tensor.h) and `calibration` (FP64 [2, 3, 4]), output `detections` (FP32 [N, 12]).
/// Recipes: see detector_recipe.h. Judged by `ap_3d` and `ap_bev`, the negated average precision of
/// KITTI (moderate, 40 recall points), percent; the same by 11 recall points and by depth is shown
/// and not judged, as slices `recall_11` and `depth_0_20_m`, `depth_20_40_m`, `depth_40_max_m`.
std::unique_ptr<runtime::Model> MakeDetectorModel(const DetectorConfig& config,
                                                  const learning::DeviceOptions& options);

}  // namespace backfire::detection
