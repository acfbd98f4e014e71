// What stands on sidewalks and is not labelled.
#include <algorithm>

#include "services/datasets/rendered/figures.h"

namespace backfire::datasets {
namespace {

using Point = MeshBuilder::Point;

Surface Plain(const Rgb& colour, std::array<float, 3> contrast, Random& random) {
  Surface surface;
  surface.colour = colour;
  surface.contrast = contrast;
  surface.texture = static_cast<uint32_t>(random.Bits());
  return surface;
}

uint32_t AddFoliage(MeshBuilder& builder, Random& random) {
  const double shade = random.Uniform(0.7, 1.2);
  const auto red = static_cast<int>(random.Uniform(62, 100) * shade);
  const auto green = static_cast<int>(random.Uniform(92, 118) * shade);
  const auto blue = static_cast<int>(random.Uniform(40, 60) * shade);
  return builder.AddSurface(Plain(Linear(red, green, blue), {0.95f, 0.7f, 0.25f}, random));
}

void AddPole(MeshBuilder& builder, double radius, double height, uint32_t surface) {
  builder.AddLimb({0, 0, 0}, {radius, 0, radius}, {0, height, 0}, {0.85 * radius, 0, 0.85 * radius},
                  7, surface);
}

}  // namespace

Rgb Linear(int red, int green, int blue) {
  const auto channel = [](int value) {
    const auto v = static_cast<float>(value) / 255.0f;
    return v * v;
  };
  return {channel(red), channel(green), channel(blue)};
}

void AddTree(Mesh& mesh, const Vector3& origin, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, random.Uniform(-kPi, kPi));
  const uint32_t bark = builder.AddSurface(Plain(Linear(96, 84, 70), {0.5f, 0.3f, 0.1f}, random));
  const uint32_t leaves = AddFoliage(builder, random);
  const double trunk = random.Uniform(2.0, 3.2), radius = random.Uniform(0.09, 0.22);
  const double crown = random.Uniform(1.1, 2.3);
  builder.AddLimb({0, 0, 0}, {1.25 * radius, 0, 1.25 * radius}, {0, trunk + 0.6 * crown, 0},
                  {0.6 * radius, 0, 0.6 * radius}, 7, bark);
  const int64_t clumps = 3 + random.Below(4);
  for (int64_t i = 0; i < clumps; ++i) {
    const double size = crown * random.Uniform(0.5, 0.8);
    builder.AddBlob({random.Uniform(-0.6, 0.6) * crown, trunk + crown * random.Uniform(0.5, 1.6),
                     random.Uniform(-0.6, 0.6) * crown},
                    {size, 0.85 * size, size}, 5, 8, 0.35, &random, leaves);
  }
}

void AddBush(Mesh& mesh, const Vector3& origin, double height, double radius, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, random.Uniform(-kPi, kPi));
  const uint32_t leaves = AddFoliage(builder, random);
  for (int i = 0; i < 2; ++i) {
    const double size = radius * random.Uniform(0.75, 1.0);
    const double tall = 0.5 * height * random.Uniform(0.85, 1.05);
    const double along = random.Uniform(-0.25, 0.25) * radius;
    const double aside = random.Uniform(-0.25, 0.25) * radius;
    builder.AddBlob({along, 0.5 * height, aside}, {size, tall, size}, 4, 8, 0.3, &random, leaves);
  }
}

void AddLampPost(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, rotation_y);
  const uint32_t steel =
      builder.AddSurface(Plain(Linear(120, 124, 126), {0.12f, 0.12f, 0.15f}, random));
  const double height = random.Uniform(5, 7.5), radius = random.Uniform(0.06, 0.11);
  AddPole(builder, radius, height, steel);
  builder.AddBox({0.7, height - 0.1, 0}, 1.6, 0.1, 0.16, steel);
}

void AddTrafficSign(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, rotation_y);
  const uint32_t steel =
      builder.AddSurface(Plain(Linear(136, 138, 138), {0.1f, 0.1f, 0.1f}, random));
  const double height = random.Uniform(2.2, 2.9);
  AddPole(builder, random.Uniform(0.03, 0.05), height, steel);
  static const std::array<Rgb, 4> kSigns = {
      {Linear(40, 80, 160), Linear(214, 214, 208), Linear(176, 36, 34), Linear(226, 190, 50)}};
  const uint32_t sign = builder.AddSurface(
      Plain(kSigns[static_cast<size_t>(random.Below(kSigns.size()))], {0.25f, 0.1f, 0.0f}, random));
  const double size = random.Uniform(0.5, 0.75);
  // A disc of eight corners, seen from the front and the back.
  for (const double side : {-1.0, 1.0}) {
    std::vector<Point> outline;
    for (int i = 0; i < 8; ++i) {
      const double angle = 2 * kPi * (i + 0.5) / 8;
      outline.push_back({side * 0.06, height - 0.4 * size + 0.5 * size * ExactSine(angle),
                         0.5 * size * ExactCosine(angle)});
    }
    builder.AddPolygon(outline, {0, height, 0}, side > 0 ? sign : steel);
  }
}

void AddBin(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, rotation_y);
  static const std::array<Rgb, 5> kBins = {{Linear(60, 62, 64), Linear(70, 88, 60),
                                            Linear(110, 84, 56), Linear(140, 142, 140),
                                            Linear(176, 150, 50)}};
  const uint32_t body = builder.AddSurface(
      Plain(kBins[static_cast<size_t>(random.Below(kBins.size()))], {0.14f, 0.14f, 0.1f}, random));
  const double height = random.Uniform(0.9, 1.55), width = random.Uniform(0.45, 0.7);
  const double length = width * random.Uniform(0.8, 1.6);
  builder.AddBox({0, 0.05, 0}, length, height, width, body);
  builder.AddBox({0, height + 0.05, 0}, 1.05 * width, 0.06, 1.05 * width, body);
}

void AddBollard(Mesh& mesh, const Vector3& origin, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, 0);
  const uint32_t paint =
      builder.AddSurface(Plain(random.Uniform() < 0.5 ? Linear(70, 70, 72) : Linear(190, 188, 182),
                               {0.15f, 0.2f, 0.0f}, random));
  AddPole(builder, 0.07, random.Uniform(0.8, 1.05), paint);
}

void AddAdvertisingColumn(Mesh& mesh, const Vector3& origin, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, random.Uniform(-kPi, kPi));
  const uint32_t poster =
      builder.AddSurface(Plain(Linear(160, 150, 140), {0.3f, 0.8f, 0.3f}, random));
  const uint32_t roof = builder.AddSurface(Plain(Linear(70, 84, 74), {0.1f, 0.1f, 0.1f}, random));
  const double radius = random.Uniform(0.45, 0.65), height = random.Uniform(2.2, 2.8);
  builder.AddLimb({0, 0, 0}, {radius, 0, radius}, {0, height, 0}, {radius, 0, radius}, 12, poster);
  builder.AddLimb({0, height, 0}, {1.15 * radius, 0, 1.15 * radius}, {0, height + 0.35, 0},
                  {0.5 * radius, 0, 0.5 * radius}, 12, roof);
}

}  // namespace backfire::datasets
