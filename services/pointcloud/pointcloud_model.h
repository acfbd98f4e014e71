#pragma once

#include <memory>

#include "services/runtime/model.h"

namespace backfire::pointcloud {

/// The vertex kind `pointcloud`: inputs `disparity` (FP32 [H, W], pixels) and `calibration` (FP64
/// [2, 3, 4]), output `points` (FP32 [N, 3] or, with intensity, [N, 4]; metres, rectified camera-0
/// frame). A transform: recipe `pseudo-lidar` says which points are kept. Shown, not judged:
/// `mean_point_distance` and `point_depth_mae`, metres.
std::unique_ptr<runtime::Model> MakePointCloudModel();

}  // namespace backfire::pointcloud
