#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "services/datasets/kitti_writer.h"
#include "services/datasets/rendered_scene.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {

/// Size and camera of a rendered world.
struct RenderProfile {
  std::string name;
  int width = 384, height = 128;  ///< Pixels.
  double focal_length_px = 320;
  double baseline_m = 0.8;
};

/// The profile of that name: `tiny`. INVALID_ARGUMENT: there is none.
absl::StatusOr<RenderProfile> FindRenderProfile(const std::string& name);

/// The profile's cameras. As in KITTI, the left one isn't camera 0 but 6 cm beside it.
StereoCalibration ProfileCalibration(const RenderProfile& profile);

/// Renders frame `index` of a split: depends on profile, seed, split and index, and nothing else.
/// Disparity is exact at pixel centres (rounded only when written). Labels are what KITTI's
/// annotators would write: objects with at least 8 visible pixels, 2D boxes clipped to the image,
/// truncation (part of the 2D box outside) and occlusion (0: at least 85 % of its pixels visible,
/// 1: at least half, 2: at least 15 %). Others are DontCare where they are seen at all.
StereoFrame RenderFrame(const RenderProfile& profile, uint64_t seed, runtime::Split split,
                        int64_t index);

/// The same for a given scene; `noise` is drawn from for the sensor's noise.
StereoFrame RenderScene(const RenderProfile& profile, const Scene& scene, uint64_t texture_seed,
                        Random noise);

}  // namespace backfire::datasets
