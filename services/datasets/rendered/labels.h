#pragma once

#include <cstdint>
#include <vector>

#include "services/datasets/render_profile.h"
#include "services/datasets/rendered/painter.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {

/// What KITTI's annotators would write about a scene: see RenderFrame.
std::vector<metrics::Object> MakeLabels(const Scene& scene, const Camera& camera, View& view);

/// The labels of RenderFrame, without drawing the images: five times as fast.
std::vector<metrics::Object> RenderLabels(const RenderProfile& profile, uint64_t seed,
                                          runtime::Split split, int64_t index);

}  // namespace backfire::datasets
