#pragma once

#include <memory>

#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::car {

/// The vertex kind `car`; see services/detection/detector_model.h. KITTI's overlap for its type is
/// 0.7.
std::unique_ptr<runtime::Model> MakeCarModel(const learning::DeviceOptions& options);

}  // namespace backfire::car
