#pragma once

#include <memory>

#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::disparity {

/// The vertex kind `disparity`: inputs `left` and `right` (UINT8 [H, W, 3], RGB, rectified), output
/// `disparity` (FP32 [H, W], pixels of the left image). Recipes `psmnet-depth-mae` and
/// `psmnet-disparity-mae`. Judged by `disparity_mae`, pixels, over the pixels with ground truth.
std::unique_ptr<runtime::Model> MakeDisparityModel(const learning::DeviceOptions& options);

}  // namespace backfire::disparity
