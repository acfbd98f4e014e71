#pragma once

#include <vector>

#include "services/datasets/rendered/rasteriser.h"
#include "services/datasets/rendered/scene.h"

namespace backfire::datasets {

/// What one camera sees of a scene, before its optics and sensor.
struct View {
  /// At pixel centres: for ground truth.
  SampleGrid centres;
  /// [height * width], row by row, linear light.
  std::vector<Rgb> image;
  /// Of each face: its plane as this camera sees it; count 0 if it faces away.
  std::vector<ScreenPolygon> polygons;
};

/// Draws a scene. Four samples per pixel where surfaces meet, so that edges aren't jagged.
/// @param contrast  Of textures, times the usual one.
/// @param reflection  Of smooth surfaces, times what is usual; 0: nothing is mirrored.
/// @param with_image  false: geometry only; `image` stays empty.
View PaintView(const Scene& scene, const Camera& camera, float contrast, float reflection,
               bool with_image);

}  // namespace backfire::datasets
