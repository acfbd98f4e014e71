#include <algorithm>

#include "services/datasets/rendered/figures.h"
#include "services/datasets/rendered/street.h"

namespace backfire::datasets {
namespace {

using Point = MeshBuilder::Point;

Rgb Plaster(Random& random) {
  static const std::array<Rgb, 9> kWalls = {
      {Linear(205, 198, 184), Linear(214, 206, 176), Linear(188, 172, 150), Linear(178, 180, 180),
       Linear(200, 176, 150), Linear(160, 124, 104), Linear(146, 110, 92), Linear(212, 212, 208),
       Linear(168, 164, 152)}};
  Rgb wall = kWalls[static_cast<size_t>(random.Below(kWalls.size()))];
  const double tone = random.Uniform(0.7, 1.1);
  for (float& channel : wall) channel *= static_cast<float>(tone * random.Uniform(0.96, 1.04));
  return wall;
}

Surface Wall(const Rgb& colour, std::array<float, 3> contrast, Random& random) {
  Surface surface;
  surface.colour = colour;
  surface.contrast = contrast;
  surface.texture = static_cast<uint32_t>(random.Bits());
  return surface;
}

// A house on the side of `front_sign`: `along` runs with the street, +aside to its left, so that
// the front of a house on the right (+1) faces +aside.
void AddHouse(Mesh& mesh, const Vector3& origin, double rotation_y, double length, double depth,
              double front_sign, double height, Random& random) {
  MeshBuilder builder(mesh);
  builder.Place(origin, rotation_y);
  const bool brick = random.Uniform() < 0.3;
  // Plaster is weakly textured; brick repeats.
  Surface wall = Wall(
      brick ? Linear(140, 92, 76) : Plaster(random),
      brick ? std::array<float, 3>{0.2f, 0.2f, 0.1f} : std::array<float, 3>{0.05f, 0.08f, 0.12f},
      random);
  Surface front = wall;
  front.pattern = Pattern::kFacade;
  const double pitch = random.Uniform(1.7, 3.4);
  front.shape = {static_cast<float>(pitch), 2.9f,
                 static_cast<float>(std::min(pitch - 0.6, random.Uniform(0.8, 1.6))),
                 static_cast<float>(random.Uniform(1.2, 1.8))};
  const uint32_t wall_id = builder.AddSurface(wall), front_id = builder.AddSurface(front);
  const uint32_t roof_id =
      builder.AddSurface(Wall(random.Uniform() < 0.6 ? Linear(120, 70, 54) : Linear(92, 90, 90),
                              {0.3f, 0.25f, 0.12f}, random));
  const double l = length / 2, w = depth / 2;
  const Point middle = {0, height / 2, 0};
  for (const double side : {-1.0, 1.0}) {
    builder.AddPolygon(
        {{-l, -1, side * w}, {l, -1, side * w}, {l, height, side * w}, {-l, height, side * w}},
        middle, side == front_sign ? front_id : wall_id);
    builder.AddPolygon(
        {{side * l, -1, -w}, {side * l, -1, w}, {side * l, height, w}, {side * l, height, -w}},
        middle, random.Uniform() < 0.5 ? front_id : wall_id);
  }
  if (random.Uniform() < 0.65) {  // A gable roof, its ridge along the street.
    const double rise = w * random.Uniform(0.5, 0.9), eaves = 0.35;
    for (const double side : {-1.0, 1.0}) {
      builder.AddPolygon({{-l - 0.2, height - 0.1, side * (w + eaves)},
                          {l + 0.2, height - 0.1, side * (w + eaves)},
                          {l + 0.2, height + rise, 0},
                          {-l - 0.2, height + rise, 0}},
                         {0, height - 5, 0}, roof_id);
      builder.AddPolygon(
          {{side * l, height, -w}, {side * l, height, w}, {side * l, height + rise, 0}}, middle,
          wall_id);
    }
  } else {  // A flat one with a ledge.
    builder.AddBox({0, height - 0.15, 0}, length + 0.3, 0.4, depth + 0.3, roof_id);
  }
  // Doors, shop fronts, balconies: they stand out, so that a front isn't one plane.
  const double aside = front_sign * w;
  const auto block = [&](double along, double up, double width, double high, double out,
                         uint32_t surface) {
    builder.AddBox({along, up, aside + front_sign * out / 2}, width, high, out, surface);
  };
  const uint32_t door = builder.AddSurface(Wall(Linear(84, 60, 46), {0.15f, 0.2f, 0.1f}, random));
  block(random.Uniform(-0.4, 0.4) * length, 0, 1.1, 2.15, 0.08, door);
  if (random.Uniform() < 0.35) {
    const uint32_t awning =
        builder.AddSurface(Wall(random.Uniform() < 0.5 ? Linear(150, 50, 44) : Linear(60, 90, 80),
                                {0.1f, 0.25f, 0.1f}, random));
    block(random.Uniform(-0.25, 0.25) * length, 2.5, 0.45 * length, 0.35, 1.0, awning);
  }
  if (random.Uniform() < 0.4) {
    for (double up = 2.9; up + 1.2 < height; up += 2.9) {
      block(0.22 * length, up, 2.2, 1.0, 0.9, wall_id);
      block(-0.22 * length, up, 2.2, 1.0, 0.9, wall_id);
    }
  }
}

void AddFrontGarden(Mesh& mesh, const Street& street, double sign, double z, double length,
                    Random& random) {
  const StreetSide& side = sign < 0 ? street.left : street.right;
  MeshBuilder builder(mesh);
  const double kind = random.Uniform();
  double height = random.Uniform(0.8, 1.6), thickness = 0.5;
  uint32_t surface;
  if (kind < 0.45) {
    surface = builder.AddSurface(Wall(Linear(72, 96, 48), {0.9f, 0.6f, 0.2f}, random));
  } else if (kind < 0.75) {
    Surface slats = Wall(random.Uniform() < 0.5 ? Linear(150, 130, 104) : Linear(196, 194, 188),
                         {0.1f, 0.1f, 0.1f}, random);
    slats.pattern = Pattern::kSlats;
    slats.shape = {0.2f, 0.13f, 0, 0};
    surface = builder.AddSurface(slats);
    thickness = 0.06;
    height = random.Uniform(0.9, 1.3);
  } else {
    surface = builder.AddSurface(Wall(Linear(158, 150, 138), {0.15f, 0.15f, 0.1f}, random));
    height = random.Uniform(0.5, 1.1);
    thickness = 0.3;
  }
  const double d = sign * (side.sidewalk + 0.1 + thickness / 2);
  builder.Place(street.At(d, z, Street::kKerbM), street.Direction(z));
  builder.AddBox({0, -0.05, 0}, length, height, thickness, surface);
}

void AddFarBackground(Mesh& mesh, const Street& street, Random& random) {
  MeshBuilder builder(mesh);
  for (double x = -190; x < 190; x += random.Uniform(9, 20)) {
    const double z = random.Uniform(150, 225);
    const bool wood = random.Uniform() < 0.6;
    const Rgb colour = wood ? Linear(84, 100, 74) : Plaster(random);
    Surface surface = Wall(
        colour,
        wood ? std::array<float, 3>{0.7f, 0.5f, 0.3f} : std::array<float, 3>{0.1f, 0.1f, 0.15f},
        random);
    if (!wood) {
      surface.pattern = Pattern::kFacade;
      surface.shape = {3.0f, 3.0f, 1.4f, 1.6f};
    }
    const uint32_t id = builder.AddSurface(surface);
    builder.Place({x + street.heading * z, street.At(0, z).y, z}, 0);
    const double height = random.Uniform(5, 15);
    if (wood) {
      builder.AddBlob({0, 0.4 * height, 0}, {random.Uniform(9, 16), 0.7 * height, 6}, 5, 9, 0.3,
                      &random, id);
    } else {
      builder.AddBox({0, -2, 0}, random.Uniform(10, 20), height, 10, id);
    }
  }
}

}  // namespace

std::vector<House> AddHouses(Mesh& mesh, const Street& street, Random& random) {
  std::vector<House> houses;
  AddFarBackground(mesh, street, random);
  for (const double sign : {-1.0, 1.0}) {
    const StreetSide& side = sign < 0 ? street.left : street.right;
    const bool dense = random.Uniform() < 0.5;
    double z = random.Uniform(-6, 4);
    while (z < 140) {
      const double length = random.Uniform(8, 19), depth = random.Uniform(8, 12);
      const auto storeys = static_cast<double>(1 + random.Below(4));
      const double height = 2.9 * storeys + random.Uniform(0.4, 1);
      const double front = side.houses + (dense ? 0 : random.Uniform(0, 3));
      const double middle = z + length / 2;
      Random own(random.Bits());
      // Nothing may stand in the side street.
      const bool crossed =
          z < street.crossing + Street::kCrossingWidthM + 1.5 && z + length > street.crossing - 1.5;
      if (crossed) {
        z = street.crossing + Street::kCrossingWidthM + 2;
        continue;
      }
      if (dense || random.Uniform() < 0.8) {
        const double d = sign * (front + depth / 2);
        AddHouse(mesh, street.At(d, middle, Street::kKerbM), street.Direction(middle), length,
                 depth, sign, height, own);
        houses.push_back({std::min(sign * front, sign * (front + depth)),
                          std::max(sign * front, sign * (front + depth)), z, z + length, height});
      }
      if (front > side.sidewalk + 1.5 && random.Uniform() < 0.8) {
        AddFrontGarden(mesh, street, sign, middle, length, own);
      }
      z += length + (dense ? random.Uniform(0, 0.6) : random.Uniform(1, 9));
    }
  }
  return houses;
}

}  // namespace backfire::datasets
