#include "services/datasets/rendered/scene.h"

#include <algorithm>
#include <cmath>

#include "services/datasets/rendered/figures.h"
#include "services/datasets/rendered/ground_plan.h"
#include "services/datasets/rendered/street.h"

namespace backfire::datasets {
namespace {

// Depths of KITTI's labels, metres: deciles of cars and of pedestrians.
constexpr std::array<double, 11> kCarDepths = {4, 9.5, 13.5, 17, 21, 25, 30, 35.5, 42, 51, 75};
constexpr std::array<double, 11> kPedestrianDepths = {4,    6.8, 8.8, 10.8, 13, 15.5,
                                                      18.5, 22,  27,  35,   60};

class SceneMaker {
 public:
  SceneMaker(const RenderProfile& profile, Random& random)
      : profile_(profile), random_(random), street_(MakeStreet(profile, random)) {}

  Scene Make() {
    AddLight();
    AddSky(scene_, random_);
    AddGround(scene_.mesh, street_, random_);
    const std::vector<House> houses = AddHouses(scene_.mesh, street_, random_);
    for (const House& house : houses) CastHouseShadow(house);
    AddCars();
    AddPeople();
    AddFurniture();
    return std::move(scene_);
  }

 private:
  void AddLight() {
    const bool sunny = random_.Uniform() < profile_.sun;
    const double azimuth = random_.Uniform(-kPi, kPi), height = random_.Uniform(0.5, 1.3);
    Light& light = scene_.light;
    light.to_sun = Unit({ExactCosine(azimuth), -height, ExactSine(azimuth)});
    light.sun = sunny ? static_cast<float>(random_.Uniform(0.6, 1.0)) : 0.12f;
    light.ambient = sunny ? static_cast<float>(random_.Uniform(0.30, 0.45))
                          : static_cast<float>(random_.Uniform(0.55, 0.85));
    light.haze = sunny ? Rgb{0.60f, 0.70f, 0.84f} : Rgb{0.66f, 0.68f, 0.72f};
    shadow_x_ = light.to_sun.x / light.to_sun.y;  // Of a point one metre up.
    shadow_z_ = light.to_sun.z / light.to_sun.y;
    shadow_light_ = sunny ? light.ambient / (light.ambient + 0.75f * light.sun) : 1.0f;
  }

  // The shadow of an upright prism over `corners` on the ground.
  void CastShadow(const std::vector<Vector3>& corners, double low, double high) {
    if (shadow_light_ > 0.99f) return;
    std::vector<Vector3> points;
    for (const double height : {low, high}) {
      for (const Vector3& corner : corners) {
        // to_sun.y < 0: away from the sun.
        points.push_back({corner.x + height * shadow_x_, corner.y, corner.z + height * shadow_z_});
      }
    }
    std::vector<Vector3> hull = Hull(std::move(points));
    for (Vector3& point : hull) point.y = street_.At(0, point.z).y;
    scene_.shadows.push_back({std::move(hull), shadow_light_});
  }

  static std::vector<Vector3> Hull(std::vector<Vector3> points) {
    std::sort(points.begin(), points.end(), [](const Vector3& a, const Vector3& b) {
      return a.x < b.x || (a.x == b.x && a.z < b.z);
    });
    std::vector<Vector3> hull;
    for (const int pass : {0, 1}) {  // Andrew's monotone chain: lower, then upper.
      const size_t start = hull.size();
      for (const Vector3& point : points) {
        while (hull.size() >= start + 2) {
          const Vector3 &a = hull[hull.size() - 2], &b = hull.back();
          if ((b.x - a.x) * (point.z - a.z) - (b.z - a.z) * (point.x - a.x) > 0) break;
          hull.pop_back();
        }
        hull.push_back(point);
      }
      hull.pop_back();
      if (pass == 0) std::reverse(points.begin(), points.end());
    }
    return hull;
  }

  void CastHouseShadow(const House& house) {
    CastShadow({street_.At(house.d_low, house.z_low), street_.At(house.d_high, house.z_low),
                street_.At(house.d_high, house.z_high), street_.At(house.d_low, house.z_high)},
               0, house.height);
  }

  void CastRoundShadow(const Vector3& centre, double radius, double low, double high) {
    std::vector<Vector3> corners;
    for (int i = 0; i < 8; ++i) {
      corners.push_back({centre.x + radius * ExactCosine(2 * kPi * i / 8), centre.y,
                         centre.z + radius * ExactSine(2 * kPi * i / 8)});
    }
    CastShadow(corners, low, high);
  }

  static std::vector<Vector3> Corners(const metrics::Box3d& box, double grow) {
    const double c = ExactCosine(box.rotation_y), s = ExactSine(box.rotation_y);
    std::vector<Vector3> corners;
    for (const auto& [l, w] : {std::pair(1, 1), {1, -1}, {-1, -1}, {-1, 1}}) {
      const double along = l * (box.length / 2 + grow), aside = w * (box.width / 2 + grow);
      corners.push_back({box.x + c * along + s * aside, box.y, box.z - s * along + c * aside});
    }
    return corners;
  }

  // Within the left camera's view, or `margin` metres beside it; `reach` metres around it are still
  // beyond near_m.
  bool InView(const Vector3& at, double margin, double reach) const {
    const double f = profile_.focal_length_px;
    return at.z >= profile_.near_m + reach && at.z <= profile_.far_m &&
           at.x > -profile_.centre_x_px / f * at.z - margin &&
           at.x < (profile_.width - profile_.centre_x_px) / f * at.z + margin;
  }

  bool PlaceCar(double d, double z, double turn, const Extent& extent, bool van, double gap) {
    const Vector3 at = street_.At(d, z, street_.Kerb(d, z));
    const double rotation_y = street_.Direction(z) + turn;
    const double reach = 0.5 * extent.length * std::abs(ExactSine(rotation_y)) +
                         0.5 * extent.width * std::abs(ExactCosine(rotation_y));
    if (!InView(at, 0.5, reach)) return false;
    if (!ground_.Occupy(at, rotation_y, extent.length, extent.width, gap)) return false;
    scene_.objects.push_back(
        AddCar(scene_.mesh, at, rotation_y, extent, van, Random(random_.Bits())));
    const metrics::Box3d& box = scene_.objects.back().box;
    scene_.shadows.push_back({Corners(box, 0.05), 0.35f});  // No light comes under a car.
    CastShadow(Corners(box, -0.1), 0.2, 0.8 * box.height);
    return true;
  }

  void AddCars() {
    // The number varies as in KITTI: streets are empty or full.
    const double mean = profile_.cars;
    const double count = mean * random_.Uniform(0.3, 1.7);
    int wanted = static_cast<int>(count + random_.Uniform());
    for (const double sign : {1.0, -1.0}) {
      if (wanted > 0) wanted -= AddParkedRow(sign, wanted);
    }
    for (int attempt = 0; attempt < 40 * wanted && wanted > 0; ++attempt) {
      const bool van = random_.Uniform() < 0.08;
      const Extent extent = van ? VanExtent(random_) : CarExtent(random_);
      const double z = FromDeciles(kCarDepths, random_.Uniform()), kind = random_.Uniform();
      const double lane = (street_.right.kerb - street_.centre) / 2;
      const double wander = 0.25 * BellCurve(random_), sway = 0.04 * BellCurve(random_);
      const double ahead = street_.centre + lane, oncoming = street_.centre - lane;
      bool placed;
      if (street_.InCrossing(z, 6) && kind < 0.6) {  // Crosses, or turns.
        const double turn = random_.Uniform() < 0.6
                                ? (random_.Uniform() < 0.5 ? kPi / 2 : -kPi / 2) + 3 * sway
                                : random_.Uniform(-kPi, kPi);
        const double d = random_.Uniform(-11, 11);
        const double within = random_.Uniform(1.5, Street::kCrossingWidthM - 1.5);
        placed = PlaceCar(d, street_.crossing + within, turn, extent, van, 0.5);
      } else if (kind < 0.42) {
        placed = PlaceCar(ahead + wander, z, sway, extent, van, 1.2);
      } else if (kind < 0.8) {
        placed = PlaceCar(oncoming + wander, z, kPi + sway, extent, van, 1.2);
      } else {  // Stands somewhere: on the kerb, in a drive.
        const double sign = random_.Uniform() < 0.5 ? -1 : 1;
        const StreetSide& side = sign < 0 ? street_.left : street_.right;
        const bool across = random_.Uniform() < 0.4 && side.houses > side.sidewalk + 2;
        placed = PlaceCar(
            sign * (across ? side.sidewalk + 1 : side.parking + 0.6 + wander), z,
            across ? sign * kPi / 2 + 2 * sway : (random_.Uniform() < 0.5 ? 0 : kPi) + sway, extent,
            van, 0.4);
      }
      if (placed) --wanted;
    }
  }

  // Returns how many.
  int AddParkedRow(double sign, int at_most) {
    const StreetSide& side = sign < 0 ? street_.left : street_.right;
    if (side.parking <= side.kerb) return 0;
    const int64_t length = 1 + random_.Below(std::max(1, at_most));
    double z = std::max(profile_.near_m, FromDeciles(kCarDepths, 0.75 * random_.Uniform()));
    int placed = 0;
    for (int64_t i = 0; i < length; ++i) {
      const bool van = random_.Uniform() < 0.08;
      const Extent extent = van ? VanExtent(random_) : CarExtent(random_);
      const double sway = 0.03 * BellCurve(random_);
      const double room = side.parked_across ? extent.width : extent.length;
      const double gap = side.parked_across ? random_.Uniform(0.5, 1.0) : random_.Uniform(0.6, 1.5);
      z += room / 2;
      const bool there = random_.Uniform() < 0.85;
      // Most stand with the traffic of their side.
      double turn = (sign > 0) == (random_.Uniform() < 0.8) ? 0 : kPi;
      double d = (side.kerb + side.parking) / 2 + random_.Uniform(-0.15, 0.2);
      if (side.parked_across) {
        turn = random_.Uniform() < 0.5 ? kPi / 2 : -kPi / 2;
        d = side.kerb + extent.length / 2 + random_.Uniform(0.1, 0.6);
      }
      if (there && !street_.InCrossing(z, 3)) {
        placed += PlaceCar(sign * d, z, turn + sway, extent, van, 0.2);
      }
      z += room / 2 + gap;
    }
    return placed;
  }

  bool PlacePedestrian(double d, double z, double turn) {
    const Extent extent = PedestrianExtent(random_);
    const Vector3 at = street_.At(d, z, street_.Kerb(d, z));
    const double rotation_y = street_.Direction(z) + turn;
    Random own(random_.Bits());
    if (!InView(at, 0.1, 0.5 * extent.length)) return false;
    if (!ground_.Occupy(at, rotation_y, extent.length, extent.width, 0.04)) return false;
    scene_.objects.push_back(AddPedestrian(scene_.mesh, at, rotation_y, extent, own));
    const metrics::Box3d& box = scene_.objects.back().box;
    scene_.shadows.push_back({Corners(box, -0.1), 0.6f});
    CastRoundShadow(at, 0.2, 0, box.height);
    return true;
  }

  void AddPeople() {
    const double mean = profile_.pedestrians;
    const double count = mean * random_.Uniform(0.3, 1.7);
    int wanted = static_cast<int>(count + random_.Uniform());
    for (int attempt = 0; attempt < 40 * wanted && wanted > 0; ++attempt) {
      const double z = FromDeciles(kPedestrianDepths, random_.Uniform());
      const double where = random_.Uniform(), heading = random_.Uniform();
      const double sign = where < 0.42 ? -1 : 1;
      const StreetSide& side = sign < 0 ? street_.left : street_.right;
      double d = sign * random_.Uniform(side.parking + 0.3, side.sidewalk - 0.3);
      double turn = heading < 0.4 ? 0 : heading < 0.8 ? kPi : random_.Uniform(-kPi, kPi);
      turn += 0.2 * BellCurve(random_);
      if (where > 0.82) {  // Crosses the street.
        d = random_.Uniform(-street_.left.parking, street_.right.parking);
        turn = random_.Uniform() < 0.5 ? kPi / 2 : -kPi / 2;
        turn += 0.2 * BellCurve(random_);
      }
      const double size = random_.Uniform();
      const int group = std::min(wanted, size < 0.55 ? 1 : size < 0.85 ? 2 : 3);
      int placed = 0;
      for (int i = 0; i < group; ++i) {
        const double aside = i == 0 ? 0 : (i == 1 ? 1 : -1) * random_.Uniform(0.6, 0.95);
        const double along = i == 0 ? 0 : random_.Uniform(-0.4, 0.4);
        const double c = ExactCosine(turn), s = ExactSine(turn);
        placed += PlacePedestrian(d + c * aside + s * along, z + c * along - s * aside,
                                  turn + 0.15 * BellCurve(random_));
      }
      wanted -= placed;
      // What a detector may take for a person, or that hides one.
      if (placed > 0 && random_.Uniform() < 0.55 * profile_.clutter) {
        const double angle = random_.Uniform(-kPi, kPi), away = random_.Uniform(0.7, 1.6);
        PlaceFurniture(d + away * ExactCosine(angle), z + away * ExactSine(angle));
      }
    }
  }

  // Something of a person's size, where there is room.
  void PlaceFurniture(double d, double z) {
    if (z < profile_.near_m + 1) return;
    const Vector3 at = street_.At(d, z, street_.Kerb(d, z));
    const double kind = random_.Uniform(), rotation_y = street_.Direction(z);
    Random own(random_.Bits());
    if (kind < 0.26) {
      if (!ground_.Occupy(at, rotation_y, 0.7, 0.6, 0.05)) return;
      AddBin(scene_.mesh, at, rotation_y, own);
      CastRoundShadow(at, 0.3, 0, 1.2);
    } else if (kind < 0.5) {
      const double height = own.Uniform(1.0, 1.9), radius = own.Uniform(0.3, 0.55);
      if (!ground_.Occupy(at, 0, 2 * radius, 2 * radius, 0)) return;
      AddBush(scene_.mesh, at, height, radius, own);
      CastRoundShadow(at, 0.8 * radius, 0, height);
    } else if (kind < 0.7) {
      if (!ground_.Occupy(at, 0, 0.2, 0.2, 0.05)) return;
      AddTrafficSign(scene_.mesh, at, rotation_y + (d > 0 ? kPi : 0), own);
      CastRoundShadow(at, 0.05, 0, 2.4);
    } else if (kind < 0.82) {
      if (!ground_.Occupy(at, 0, 0.3, 0.3, 0.05)) return;
      AddLampPost(scene_.mesh, at, d > 0 ? kPi : 0, own);
      CastRoundShadow(at, 0.07, 0, 6);
    } else if (kind < 0.93) {
      if (!ground_.Occupy(at, 0, 0.3, 0.3, 0.05)) return;
      AddBollard(scene_.mesh, at, own);
      CastRoundShadow(at, 0.07, 0, 1);
    } else {
      if (!ground_.Occupy(at, 0, 1.3, 1.3, 0.1)) return;
      AddAdvertisingColumn(scene_.mesh, at, own);
      CastRoundShadow(at, 0.5, 0, 2.6);
    }
  }

  void PlaceTree(double d, double z) {
    const Vector3 at = street_.At(d, z, street_.Kerb(d, z));
    Random own(random_.Bits());
    if (z < profile_.near_m + 3.5 || street_.InCrossing(z, 1)) return;
    if (!ground_.Occupy(at, 0, 0.5, 0.5, 0.1)) return;
    AddTree(scene_.mesh, at, own);
    CastRoundShadow(at, 0.15, 0, 3);
    CastRoundShadow(at, 1.4, 2.5, 4.5);
  }

  void AddFurniture() {
    const double clutter = profile_.clutter;
    for (const double sign : {-1.0, 1.0}) {
      const StreetSide& side = sign < 0 ? street_.left : street_.right;
      const double at_kerb = side.parking + 0.35;
      if (random_.Uniform() < 0.55 * clutter) {  // An avenue, or trees here and there.
        const double pitch = random_.Uniform(7, 16), d = sign * (at_kerb + 0.3);
        for (double z = random_.Uniform(4, 18); z < 90; z += pitch) {
          if (random_.Uniform() < 0.75) PlaceTree(d, z + random_.Uniform(-1, 1));
        }
      }
      if (random_.Uniform() < 0.2 * clutter) {  // A row of bollards: they all look the same.
        const double start = random_.Uniform(8, 30);
        for (int i = 0; i < 10; ++i) {
          const double z = start + 1.5 * i;
          const Vector3 at = street_.At(sign * (at_kerb - 0.1), z, Street::kKerbM);
          Random own(1);
          if (!street_.InCrossing(z) && ground_.Occupy(at, 0, 0.2, 0.2, 0.05)) {
            AddBollard(scene_.mesh, at, own);
          }
        }
      }
      const auto pieces = static_cast<int>(clutter * random_.Uniform(1, 7));
      for (int i = 0; i < pieces; ++i) {
        const double z = FromDeciles(kCarDepths, random_.Uniform()) + 2;
        const bool kerb = random_.Uniform() < 0.5;
        PlaceFurniture(sign * (kerb ? at_kerb : side.sidewalk - 0.4), z);
      }
      if (side.houses > side.sidewalk + 2) {  // Front gardens.
        const auto bushes = static_cast<int>(clutter * random_.Uniform(0, 7));
        for (int i = 0; i < bushes; ++i) {
          const double z = random_.Uniform(10, 55);
          const double d = sign * random_.Uniform(side.sidewalk + 1.2, side.houses);
          if (random_.Uniform() < 0.35) {
            PlaceTree(d, z);
          } else if (z > profile_.near_m + 1.5 && !street_.InCrossing(z, 1)) {
            const double height = random_.Uniform(0.7, 2.2), radius = random_.Uniform(0.5, 1.3);
            AddBush(scene_.mesh, street_.At(d, z, Street::kKerbM), height, radius, random_);
          }
        }
      }
    }
  }

  const RenderProfile& profile_;
  Random& random_;
  const Street street_;
  Scene scene_;
  GroundPlan ground_;
  double shadow_x_ = 0, shadow_z_ = 0;
  float shadow_light_ = 1;
};

}  // namespace

void AddSky(Scene& scene, Random& random) {
  MeshBuilder builder(scene.mesh);
  Surface sky;
  sky.colour = scene.light.haze;
  sky.pattern = Pattern::kSky;
  sky.contrast = {0.0f, 0.1f, 0.10f};
  sky.texture = static_cast<uint32_t>(random.Bits());
  const uint32_t surface = builder.AddSurface(sky);
  scene.sky_face = static_cast<uint32_t>(scene.mesh.faces.size());
  constexpr double kReach = 3000;
  builder.AddPolygon({{-kReach, -kReach, kSkyDepthM},
                      {kReach, -kReach, kSkyDepthM},
                      {kReach, kReach, kSkyDepthM},
                      {-kReach, kReach, kSkyDepthM}},
                     {0, 0, kSkyDepthM + 1}, surface);
}

Scene MakeScene(const RenderProfile& profile, Random& random) {
  return SceneMaker(profile, random).Make();
}

}  // namespace backfire::datasets
