#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::detection {

/// What distinguishes one detector from another.
struct DetectorConfig {
  std::string model;                 ///< `car`.
  std::string type;                  ///< Of KITTI's labels: `Car`.
  int proposal_class = 0;            ///< In the tensor `boxes_2d`.
  std::array<float, 3> mean_size{};  ///< Height, width, length, metres.
  double iou_threshold = 0.7;
  std::optional<double> max_depth_m;  ///< Judged up to here; none: everywhere.
};

/// A detector: inputs `points` (FP32 [N, 3], metres), `boxes_2d` (FP32 [N, 6], see
/// detections_tensor.h) and `calibration` (FP64 [2, 3, 4]), output `detections` (FP32 [N, 12]).
/// Recipe `frustum-pointnet`. Judged by `ap_3d` and `ap_bev`, the negated average precision of
/// KITTI (moderate, 40 recall points), percent.
std::unique_ptr<runtime::Model> MakeDetectorModel(const DetectorConfig& config,
                                                  const learning::DeviceOptions& options);

}  // namespace backfire::detection
