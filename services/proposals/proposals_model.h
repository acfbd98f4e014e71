#pragma once

#include <memory>

#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::proposals {

/// The vertex kind `proposals`: input `left` (UINT8 [H, W, 3], RGB), output `boxes_2d` (FP32 [N,
/// 6]; see services/detection/detections_tensor.h). Recipe `centre-point`. Judged by `ap_2d_car`
/// and `ap_2d_pedestrian`, the negated 2D average precision of KITTI (moderate, 40 recall points,
/// overlap above 0.7 and 0.5), percent.
std::unique_ptr<runtime::Model> MakeProposalsModel(const learning::DeviceOptions& options);

}  // namespace backfire::proposals
