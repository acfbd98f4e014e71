#pragma once

#include "services/datasets/rendered/noise_tile.h"
#include "services/datasets/rendered/scene.h"

namespace backfire::datasets {

/// What a smooth face mirrors. A mirrored thing isn't where the face is: two cameras see it on
/// different places of the face, so that whoever matches it finds another depth than the face's.
class Reflection {
 public:
  /// @param strength  Times what the material reflects; 0: nothing is mirrored.
  Reflection(const Face& face, const Surface& surface, const Light& light, float strength);

  /// Mixes what is mirrored into the colour of a place of the face.
  /// @param ray  From the camera to the place, in the rectified camera-0 frame; any length.
  /// @param a, b  The place's texture coordinates, metres: panels are slightly bent.
  void AddTo(const Vector3& ray, float a, float b, const NoiseTile& noise, Rgb& colour) const;

 private:
  Vector3 normal_, axis_a_, axis_b_;
  float reflectance_ = 0;  // Seen along the normal.
  float strength_ = 0;
  uint32_t texture_ = 0;
  Light light_;
};

/// The light that comes from far away in a direction of length 1: sky, sun, a skyline, a street.
Rgb Surroundings(const Vector3& direction, const Light& light, const NoiseTile& noise);

}  // namespace backfire::datasets
