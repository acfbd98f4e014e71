#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/rendered_texture.h"
#include "services/metrics/object.h"

namespace backfire::datasets {

/// What a surface is made of: its pattern beside the noise.
enum class Material { kPlain, kBuilding, kGlass, kFoliage };

/// An upright solid box of one material, part of an object or of the scenery.
struct Part {
  metrics::Box3d box;
  Rgb colour{};
  float contrast = 0.4f;  ///< How strong the noise is, relative to the colour.
  Material material = Material::kPlain;
  int object = -1;  ///< Index into Scene::objects; -1: scenery, which has no label.
};

/// Something that is labelled.
struct SceneObject {
  std::string type;    ///< Car, Pedestrian.
  metrics::Box3d box;  ///< Encloses all its parts.
};

/// A street with cars, pedestrians, buildings and trees, in the rectified camera-0 frame. The
/// ground is the plane y = kCameraHeightM; the sky is the plane z = kSkyDepthM.
struct Scene {
  std::vector<SceneObject> objects;
  std::vector<Part> parts;
  Rgb road{}, verge{};
  float brightness = 1;
};

inline constexpr double kCameraHeightM = 1.65;
inline constexpr double kRoadHalfWidthM = 4.6;
inline constexpr double kSkyDepthM = 150;

/// Invents a scene: 4 to 7 cars between 6 and 34 m, 2 to 4 pedestrians between 5 and 22 m, none
/// within another. Sizes have the means and spreads of KITTI's labels.
Scene MakeScene(Random& random);

}  // namespace backfire::datasets
