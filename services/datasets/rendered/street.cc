#include "services/datasets/rendered/street.h"

#include <algorithm>

#include "services/datasets/rendered/figures.h"

namespace backfire::datasets {
namespace {

Surface Ground(const Rgb& colour, std::array<float, 3> contrast, Random& random) {
  Surface surface;
  surface.colour = colour;
  surface.contrast = contrast;
  surface.texture = static_cast<uint32_t>(random.Bits());
  surface.ground = true;
  return surface;
}

// A strip of ground between two lines along the street, in quadrangles whose texture follows it.
class GroundStrips {
 public:
  GroundStrips(Mesh& mesh, const Street& street) : mesh_(mesh), street_(street) {
    stations_ = {0.6, 3, 5.5, 8, 11, 14, 18, 23, 29, 36, 45, 57, 72, 92, 118, 155, 200, 240};
    if (street.crossing < 200) {
      stations_.push_back(street.crossing);
      stations_.push_back(street.crossing + Street::kCrossingWidthM);
      std::sort(stations_.begin(), stations_.end());
    }
  }

  // `up` metres above the carriageway, but level with it in a crossing; with a kerb on the side of
  // `d_kerb` where that is one of the edges.
  void Add(double d_low, double d_high, double up, uint32_t surface, double d_kerb,
           uint32_t kerb_surface) {
    for (size_t i = 0; i + 1 < stations_.size(); ++i) {
      const double z0 = stations_[i], z1 = stations_[i + 1];
      if (z1 - z0 < 1e-6) continue;
      const bool crossing = street_.InCrossing((z0 + z1) / 2);
      const double height = crossing ? 0 : up;
      AddQuad({street_.At(d_low, z0, height), street_.At(d_high, z0, height),
               street_.At(d_high, z1, height), street_.At(d_low, z1, height)},
              z0, z1, surface, {0, -1, 0});
      if (height > 0 && (d_kerb == d_low || d_kerb == d_high)) {
        const double outwards = d_kerb == d_low ? -1 : 1;
        AddQuad({street_.At(d_kerb, z0), street_.At(d_kerb, z1), street_.At(d_kerb, z1, height),
                 street_.At(d_kerb, z0, height)},
                z0, z1, kerb_surface, {outwards, 0, 0});
      }
    }
  }

 private:
  void AddQuad(const std::array<Vector3, 4>& corners, double z0, double z1, uint32_t surface,
               const Vector3& facing) {
    Face face;
    face.first = static_cast<uint32_t>(mesh_.corners.size());
    face.count = 4;
    face.surface = surface;
    mesh_.corners.insert(mesh_.corners.end(), corners.begin(), corners.end());
    face.normal = Unit(Cross(corners[1] - corners[0], corners[3] - corners[0]));
    if (Dot(face.normal, facing) < 0) {
      face.normal = -1 * face.normal;
      std::reverse(mesh_.corners.begin() + face.first, mesh_.corners.end());
    }
    // a is d, exactly, because the strip's bend is linear between stations; b is z.
    const double x0 = street_.At(0, z0).x, x1 = street_.At(0, z1).x;
    const double bend = (x1 - x0) / (z1 - z0);
    if (facing.y < 0) {
      face.axis_a = {1, 0, -bend};
      face.shift_a = bend * z0 - x0;
      face.axis_b = {0, 0, 1};
    } else {
      face.axis_a = {0, 0, 1};
      face.axis_b = {0, -1, 0};
    }
    mesh_.faces.push_back(face);
  }

  Mesh& mesh_;
  const Street& street_;
  std::vector<double> stations_;
};

}  // namespace

Vector3 Street::At(double d, double z, double up) const {
  return {d + heading * z + curvature * z * z / 2, camera_height_m - slope * z - up, z};
}

double Street::Direction(double z) const {
  const double t = heading + curvature * z;
  const double angle = t - t * t * t / 3 + t * t * t * t * t / 5;  // arctan, for |t| < 0.3.
  return angle - kPi / 2;
}

double Street::Kerb(double d, double z) const {
  if (InCrossing(z)) return 0;
  return d > right.parking || d < -left.parking ? kKerbM : 0;
}

Street MakeStreet(const RenderProfile& profile, Random& random) {
  Street street;
  street.camera_height_m = profile.camera_height_m;
  street.heading = 0.045 * BellCurve(random);
  street.curvature = random.Uniform() < 0.4 ? 0.0009 * BellCurve(random) : 0;
  street.slope = profile.slope_deg * kPi / 180 * std::clamp(BellCurve(random), -2.0, 2.0);
  const double lane = random.Uniform(2.6, 3.6);
  street.right.kerb = lane / 2 + random.Uniform(-0.25, 0.35);
  street.centre = street.right.kerb - lane;
  street.left.kerb = lane - street.centre;
  for (StreetSide* side : {&street.right, &street.left}) {
    const bool strip = random.Uniform() < profile.parked;
    side->parked_across = strip && random.Uniform() < 0.15;
    side->parking = side->kerb + (strip ? (side->parked_across ? 4.8 : 2.15) : 0);
    side->sidewalk = side->parking + random.Uniform(1.8, 3.6);
    // Hedges and houses beside the camera must not come nearer than near_m where it sees them.
    const double view = std::max(profile.centre_x_px, profile.width - profile.centre_x_px) /
                        profile.focal_length_px;
    side->sidewalk = std::max(side->sidewalk, profile.near_m * (view + 0.13));
    side->houses = side->sidewalk + (random.Uniform() < 0.5 ? 0.05 : random.Uniform(2.0, 6.0));
  }
  if (random.Uniform() < 0.35) street.crossing = random.Uniform(12, 45);
  return street;
}

void AddGround(Mesh& mesh, const Street& street, Random& random) {
  MeshBuilder builder(mesh);
  const int grey = 98 + static_cast<int>(random.Below(34));
  Surface asphalt = Ground(Linear(grey, grey, grey + 2), {0.20f, 0.15f, 0.16f}, random);
  Surface road = asphalt;
  road.pattern = Pattern::kRoad;
  road.shape = {static_cast<float>(-street.left.kerb), static_cast<float>(street.centre),
                static_cast<float>(street.right.kerb), 0};
  if (random.Uniform() < 0.25) road.shape[1] = 1e6f;  // No centre line.
  Surface walk = Ground(Linear(146, 142, 136), {0.14f, 0.14f, 0.1f}, random);
  walk.pattern = Pattern::kPaving;
  const double slab = random.Uniform(0.3, 0.7);
  walk.shape = {static_cast<float>(slab), static_cast<float>(slab * random.Uniform(0.6, 1.4)), 0,
                0};
  Surface parking = Ground(Linear(grey + 14, grey + 12, grey + 10), {0.2f, 0.15f, 0.1f}, random);
  if (random.Uniform() < 0.5) {
    parking.pattern = Pattern::kPaving;
    parking.shape = {0.2f, 0.2f, 0, 0};
  }
  const bool grass = random.Uniform() < 0.6;
  Surface verge = grass ? Ground(Linear(92, 108, 62), {0.5f, 0.4f, 0.2f}, random)
                        : Ground(Linear(138, 130, 118), {0.35f, 0.25f, 0.15f}, random);
  Surface kerb = Ground(Linear(160, 158, 152), {0.15f, 0.1f, 0.1f}, random);
  kerb.ground = false;
  const uint32_t road_id = builder.AddSurface(road), walk_id = builder.AddSurface(walk),
                 parking_id = builder.AddSurface(parking), verge_id = builder.AddSurface(verge),
                 kerb_id = builder.AddSurface(kerb);
  GroundStrips strips(mesh, street);
  strips.Add(-street.left.kerb, street.right.kerb, 0, road_id, 1e9, kerb_id);
  for (const double sign : {-1.0, 1.0}) {
    const StreetSide& side = sign < 0 ? street.left : street.right;
    const auto add = [&](double from, double to, double up, uint32_t surface, double at_kerb) {
      strips.Add(std::min(sign * from, sign * to), std::max(sign * from, sign * to), up, surface,
                 sign * at_kerb, kerb_id);
    };
    if (side.parking > side.kerb) add(side.kerb, side.parking, 0, parking_id, 1e9);
    add(side.parking, side.sidewalk, Street::kKerbM, walk_id, side.parking);
    add(side.sidewalk, 90, Street::kKerbM, verge_id, 1e9);
  }
  if (street.crossing < 200) {  // The side street, over what is there, and its zebra.
    Surface side_road = asphalt;
    const uint32_t side_id = builder.AddSurface(side_road);
    Surface zebra = asphalt;
    zebra.pattern = Pattern::kZebra;
    zebra.shape = {0.5f, 0, 0, 0};
    const uint32_t zebra_id = builder.AddSurface(zebra);
    const auto patch = [&](double d0, double d1, double z0, double z1, double up,
                           uint32_t surface) {
      builder.Place({0, 0, 0}, 0);
      const auto point = [&](double d, double z) {
        const Vector3 at = street.At(d, z, up);
        return MeshBuilder::Point{at.x, -at.y, at.z};
      };
      builder.AddPolygon({point(d0, z0), point(d1, z0), point(d1, z1), point(d0, z1)},
                         {0, -100, z0}, surface);
    };
    const double z0 = street.crossing, z1 = z0 + Street::kCrossingWidthM;
    patch(street.right.kerb, 90, z0 + 0.8, z1 - 0.8, 0.004, side_id);
    patch(-90, -street.left.kerb, z0 + 0.8, z1 - 0.8, 0.004, side_id);
    if (random.Uniform() < 0.6) {
      patch(-street.left.kerb + 0.2, street.right.kerb - 0.2, z0 - 3.6, z0 - 0.6, 0.004, zebra_id);
    }
  }
}

}  // namespace backfire::datasets
