#pragma once

#include <cstdint>

#include "services/datasets/kitti_writer.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered/rasteriser.h"
#include "services/datasets/rendered/scene.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {

/// Goes up whenever the same parameters give other bytes.
inline constexpr int kRenderVersion = 3;

/// The profile's cameras. As in KITTI, the left one isn't camera 0 but 6 cm beside it.
StereoCalibration ProfileCalibration(const RenderProfile& profile);

/// The left one, as the renderer sees it.
Camera LeftCamera(const RenderProfile& profile);

/// Renders frame `index` of a split: depends on profile, seed, split and index, and nothing else;
/// the same bytes on any machine. Disparity is exact at pixel centres (rounded only when written).
/// Labels are what KITTI's annotators would write: 2D boxes about the whole object clipped to the
/// image, truncation (part of the 2D box outside), occlusion (0: at least 85 % of its pixels in the
/// image are visible, 1: at least half, 2: at least 15 %). What has fewer than 15 %, or fewer than
/// 8 pixels, is DontCare where it is seen at all. 3D boxes just enclose the object.
StereoFrame RenderFrame(const RenderProfile& profile, uint64_t seed, runtime::Split split,
                        int64_t index);

/// The same for a given scene, which must have its sky (AddSky); `random` gives the cameras'
/// faults.
StereoFrame RenderScene(const RenderProfile& profile, const Scene& scene, Random random);

}  // namespace backfire::datasets
