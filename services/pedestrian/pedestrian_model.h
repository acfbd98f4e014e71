#pragma once

#include <memory>

#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::pedestrian {

/// The vertex kind `pedestrian`; see services/detection/detector_model.h. KITTI's overlap for its
/// type is 0.5, judged within 20 m.
std::unique_ptr<runtime::Model> MakePedestrianModel(const learning::DeviceOptions& options);

}  // namespace backfire::pedestrian
