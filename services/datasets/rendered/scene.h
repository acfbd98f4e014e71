#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// Where the light comes from.
struct Light {
  Vector3 to_sun = {0, -1, 0};  ///< Length 1.
  float sun = 0, ambient = 1;   ///< On a surface that faces it; everywhere.
  Rgb haze = {0.62f, 0.68f, 0.76f};
};

/// A street with cars, people, houses and trees, in the rectified camera-0 frame.
struct Scene {
  Mesh mesh;
  std::vector<SceneObject> objects;  ///< What is labelled.
  std::vector<Shadow> shadows;
  Light light;
  uint32_t sky_face = 0;  ///< The backdrop, at kSkyDepthM.
};

/// The sky is painted on a wall at this depth, so that every pixel has a disparity.
inline constexpr double kSkyDepthM = 240;

/// Adds the backdrop: a scene must have it.
void AddSky(Scene& scene, Random& random);

/// Invents a scene: street, houses, trees, parked rows, traffic, people. Depths and sizes of cars
/// and pedestrians follow KITTI's labels, within the profile's range and view.
Scene MakeScene(const RenderProfile& profile, Random& random);

}  // namespace backfire::datasets
