// People: limbs of five or six sides about a skeleton, in fractions of the body's height.
#include <algorithm>

#include "services/datasets/rendered/figures.h"

namespace backfire::datasets {
namespace {

using Point = MeshBuilder::Point;

Rgb Cloth(Random& random) {
  static const std::array<Rgb, 12> kCloths = {
      {Linear(34, 36, 44), Linear(52, 54, 60), Linear(44, 58, 96), Linear(76, 92, 128),
       Linear(108, 96, 84), Linear(140, 132, 120), Linear(188, 186, 180), Linear(128, 40, 42),
       Linear(60, 80, 60), Linear(170, 150, 110), Linear(96, 64, 92), Linear(206, 186, 90)}};
  Rgb cloth = kCloths[static_cast<size_t>(random.Below(kCloths.size()))];
  const double tone = random.Uniform(0.75, 1.25);
  for (float& channel : cloth) channel *= static_cast<float>(tone * random.Uniform(0.95, 1.05));
  return cloth;
}

// Builds a person of height 1 whose pose takes about the length and width of `extent`: long strides
// and swinging arms, or feet together.
void Build(MeshBuilder& builder, const Extent& extent, Random random) {
  const auto texture = static_cast<uint32_t>(random.Bits());
  uint32_t count = 0;
  const auto surface = [&](const Rgb& colour, float contrast) {
    Surface result;
    result.colour = colour;
    result.contrast = {contrast, contrast, 0.0f};
    result.texture = texture + 7 * count++;
    return builder.AddSurface(result);
  };
  const uint32_t coat = surface(Cloth(random), 0.22f);
  const uint32_t trousers = surface(Cloth(random), 0.16f);
  const double tone = random.Uniform(0.55, 1.0);
  const uint32_t skin = surface(Linear(static_cast<int>(205 * tone), static_cast<int>(160 * tone),
                                       static_cast<int>(136 * tone)),
                                0.12f);
  const uint32_t hair =
      surface(random.Uniform() < 0.7 ? Linear(46, 36, 30) : Linear(150, 130, 100), 0.3f);
  const uint32_t shoe = surface(Linear(44, 40, 38), 0.2f);

  const double stride = std::clamp((extent.length / extent.height - 0.19) / 2, 0.01, 0.26);
  const double swing = 0.75 * stride;
  const double elbow = std::clamp((extent.width / extent.height - 0.335) / 2, -0.02, 0.12);
  const bool skirt = random.Uniform() < 0.2;
  const auto limb = [&](const Point& from, double r0, const Point& to, double r1, uint32_t s) {
    builder.AddLimb(from, {r0, 0, r0}, to, {r1, 0, r1}, 5, s);
  };
  for (const double side : {-1.0, 1.0}) {
    const double step = side * stride;
    const Point hip = {0, 0.50, side * 0.050};
    const Point knee = {0.55 * step + 0.025, 0.275, side * 0.052};
    const Point ankle = {step - (step < 0 ? 0.02 : 0.0), 0.035, side * 0.050};
    limb(knee, 0.036, hip, 0.054, trousers);
    limb(ankle, 0.024, knee, 0.036, skirt ? skin : trousers);
    builder.AddBox({ankle.along + 0.028, 0, ankle.aside}, 0.145, 0.04, 0.052, shoe);
    const Point shoulder = {0, 0.80, side * 0.118};
    const Point elbow_at = {-0.5 * side * swing - 0.01, 0.63, side * (0.145 + 0.4 * elbow)};
    const Point hand = {-side * swing + 0.03, 0.475, side * (0.145 + elbow)};
    limb(elbow_at, 0.028, shoulder, 0.036, coat);
    limb(hand, 0.020, elbow_at, 0.026, coat);
  }
  if (skirt) {
    builder.AddLimb({0, 0.30, 0}, {0.11, 0, 0.12}, {0, 0.52, 0}, {0.065, 0, 0.085}, 7, trousers);
  }
  builder.AddLimb({0, 0.46, 0}, {0.066, 0, 0.092}, {0, 0.66, 0}, {0.064, 0, 0.09}, 7, coat);
  builder.AddLimb({0, 0.66, 0}, {0.066, 0, 0.092}, {-0.005, 0.83, 0}, {0.055, 0, 0.112}, 7, coat);
  builder.AddLimb({0.0, 0.82, 0}, {0.03, 0, 0.03}, {0.008, 0.88, 0}, {0.03, 0, 0.03}, 5, skin);
  builder.AddBlob({0.01, 0.925, 0}, {0.056, 0.070, 0.046}, 4, 6, 0, nullptr, skin);
  builder.AddBlob({-0.006, 0.948, 0}, {0.056, 0.052, 0.049}, 4, 6, 0, nullptr, hair);
  if (random.Uniform() < 0.3) {  // A rucksack.
    builder.AddBox({-0.105, 0.58, 0}, 0.085, 0.22, 0.15, surface(Cloth(random), 0.3f));
  } else if (random.Uniform() < 0.3) {  // A bag in one hand.
    builder.AddBox({swing + 0.02, 0.30, -0.16 - elbow}, 0.15, 0.17, 0.05,
                   surface(Cloth(random), 0.3f));
  }
}

}  // namespace

Extent PedestrianExtent(Random& random) {
  const auto bell = [&random](double mean, double spread, double low, double high) {
    return std::clamp(mean + spread * BellCurve(random), low, high);
  };
  Extent extent;
  extent.height = bell(1.76, 0.11, 1.25, 2.0);
  extent.width = bell(0.66, 0.13, 0.42, 1.0);
  extent.length = bell(0.84, 0.22, 0.4, 1.35);
  return extent;
}

SceneObject AddPedestrian(Mesh& mesh, const Vector3& origin, double rotation_y,
                          const Extent& extent, Random random) {
  // Once to see how large the pose is, and once stretched to the size that was asked for.
  Mesh draft;
  MeshBuilder measuring(draft);
  Build(measuring, extent, random);
  const metrics::Box3d pose = EnclosingBox(draft, 0, {}, 0);

  SceneObject object;
  object.type = "Pedestrian";
  object.first_face = static_cast<uint32_t>(mesh.faces.size());
  MeshBuilder builder(mesh);
  builder.Place(
      origin, rotation_y,
      {extent.length / pose.length, extent.height / pose.height, extent.width / pose.width});
  Build(builder, extent, random);
  object.face_count = static_cast<uint32_t>(mesh.faces.size()) - object.first_face;
  object.box = EnclosingBox(mesh, object.first_face, origin, rotation_y);
  return object;
}

}  // namespace backfire::datasets
