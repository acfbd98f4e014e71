#pragma once

#include <vector>

#include "services/datasets/rendered/painter.h"

namespace backfire::datasets {

/// What KITTI's annotators would write about a scene: see RenderFrame.
std::vector<metrics::Object> MakeLabels(const Scene& scene, const Camera& camera, View& view);

}  // namespace backfire::datasets
