#include "services/datasets/rendered/reflection.h"

#include <algorithm>
#include <cmath>

namespace backfire::datasets {
namespace {

constexpr uint32_t kSkyline = 0x51C71135u, kClouds = 0xC10D5EEDu, kHouses = 0x40535E55u;

// 0 below `low`, 1 above `high`.
float Ramp(float x, float low, float high) {
  return std::clamp((x - low) / (high - low), 0.0f, 1.0f);
}

}  // namespace

Rgb Surroundings(const Vector3& direction, const Light& light, const NoiseTile& noise) {
  const auto up = static_cast<float>(-direction.y);
  // Goes once around the horizon without an angle, which would need the C library's arc tangent.
  const double side = 1 / (1 + std::abs(direction.z));
  const auto around = static_cast<float>(direction.x * side);
  const uint32_t half = direction.z < 0 ? 1 : 0;

  Rgb colour = light.haze;
  Mix(colour, {0.26f, 0.42f, 0.72f}, 0.75f * std::max(up, 0.0f));
  const float cloud = noise.Octave(3 * around, static_cast<float>(3 * direction.y), kClouds + half);
  Mix(colour, {1.0f, 1.0f, 1.0f}, 0.7f * std::max(cloud, 0.0f));

  const float skyline = 0.22f + 0.2f * noise.Octave(6 * around, 0, kSkyline + half);
  const float house = noise.Octave(14 * around, 14 * up, kHouses + half) +
                      0.6f * noise.Octave(40 * around, 40 * up, kHouses + half);
  const float brightness = (0.14f + 0.1f * house) * (light.ambient + 0.5f * light.sun) * 2;
  Mix(colour, {1.1f * brightness, brightness, 0.85f * brightness},
      1 - Ramp(up, skyline - 0.02f, skyline + 0.02f));

  const float road = 0.16f * (light.ambient + 0.6f * light.sun);
  Mix(colour, {road, road, 0.97f * road}, 1 - Ramp(up, -0.04f, 0.0f));

  const float glare = Ramp(static_cast<float>(Dot(direction, light.to_sun)), 0.985f, 0.999f);
  for (float& channel : colour) channel += 12 * light.sun * glare * glare;
  return colour;
}

Reflection::Reflection(const Face& face, const Surface& surface, const Light& light, float strength)
    : normal_(face.normal),
      axis_a_(face.axis_a),
      axis_b_(face.axis_b),
      reflectance_(surface.reflectance),
      strength_(strength),
      texture_(surface.texture),
      light_(light) {}

void Reflection::AddTo(const Vector3& ray, float a, float b, const NoiseTile& noise,
                       Rgb& colour) const {
  constexpr float kBend = 0.12f;  // Radians, about; over kWave metres.
  constexpr float kWave = 0.9f;
  const float bend_a = kBend * noise.Octave(a / kWave, b / kWave, texture_);
  const float bend_b = kBend * noise.Octave(a / kWave, b / kWave, texture_ + 1);
  const Vector3 normal =
      Unit(normal_ + static_cast<double>(bend_a) * axis_a_ + static_cast<double>(bend_b) * axis_b_);
  const Vector3 to_face = Unit(ray);
  const double facing = std::clamp(-Dot(to_face, normal), 0.0, 1.0);
  const Vector3 mirrored = to_face + (2 * facing) * normal;
  // Schlick, "An inexpensive BRDF model for physically-based rendering", 1994, equation 15.
  const auto flat = static_cast<float>(1 - facing);
  const float fresnel = reflectance_ + (1 - reflectance_) * flat * flat * flat * flat * flat;
  const float share = std::min(strength_ * fresnel, 1.0f);
  Mix(colour, Surroundings(mirrored, light_, noise), share);
}

}  // namespace backfire::datasets
