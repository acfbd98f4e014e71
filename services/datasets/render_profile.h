#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::datasets {

/// All parameters of the rendered world. Each field is also a parameter of the dataset's URI, by
/// the same name: `rendered:tiny?focal_length_px=320&cars=9`.
struct RenderProfile {
  std::string name = "tiny";  ///< Of the profile that the others came from.

  // The cameras. x_left - x_right = focal_length_px * baseline_m / depth.
  int width = 384, height = 128;  ///< Pixels.
  double focal_length_px = 400;   ///< Pixels.
  double baseline_m = 1.2;        ///< Metres between the optical centres.
  double centre_x_px = 191.5;     ///< Principal point.
  double centre_y_px = 54;        ///< Principal point: the horizon, on a level street.
  double camera_height_m = 1.65;  ///< Above the road, below the camera.
  double slope_deg = 0.5;         ///< Spread of the road's slope seen from the camera.

  // What is in the street. Counts are means of what is placed in the left camera's view, before
  // things hide each other.
  double cars = 7;           ///< Cars and vans.
  double pedestrians = 3.6;  ///< Alone or in groups.
  double near_m = 7.8;       ///< Least depth of any part of what stands in the street.
  double far_m = 70;         ///< Largest depth of the middle of a car or pedestrian.
  double parked = 0.65;      ///< Probability that a side of the street has a parked row.
  double clutter = 1;        ///< Poles, trees, bins, bushes, signs: times the usual number.

  // How well it can be seen.
  double contrast = 1;      ///< Of all textures: 0 has none.
  double reflection = 0;    ///< In cars' paint and windows: times the usual; 0 mirrors nothing.
  double sun = 0.6;         ///< Probability of sunshine with its shadows.
  double noise = 2.2;       ///< Spread of a pixel's noise, grey levels of 255.
  double gain = 0.06;       ///< Spread between the cameras' exposures, relative.
  double blur_px = 0.45;    ///< Largest blur of a camera, pixels (each has its own).
  double vignetting = 0.2;  ///< Largest loss of light in the corners, relative.
};

/// A profile by its name: `tiny` (384x128; no disparity above 64 px), `half` (621x188, KITTI's
/// camera at half its resolution), `kitti` (1242x375, KITTI's camera), `lidar` (640x128, the part
/// of the view that a car's LiDAR sees as KITTI's does: what is supervised lies as near as there,
/// 80 % of it within 20 m, where `tiny` has half), `transfer` (900x272, KITTI's camera at 72 % of
/// its resolution, for models that are to see real cameras: cars come nearer, are more, and
/// mirror). INVALID_ARGUMENT: no such.
absl::StatusOr<RenderProfile> FindRenderProfile(const std::string& name);

/// Sets the parameter of that name. INVALID_ARGUMENT: no such parameter, no number, or out of its
/// range; the message names parameter and range.
absl::Status SetParameter(RenderProfile& profile, std::string_view parameter,
                          std::string_view value);

/// A parameter as --help lists it.
struct RenderParameter {
  std::string name, meaning;
  double low, high;
};
const std::vector<RenderParameter>& RenderParameters();

/// All parameters as text, a line each: equal texts give equal worlds.
std::string FormatProfile(const RenderProfile& profile);

}  // namespace backfire::datasets
