#include "services/datasets/rendered_scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "services/metrics/iou.h"

namespace backfire::datasets {
namespace {

using metrics::Box3d;

constexpr double kPi = 3.14159265358979323846;

// A part of an object, given in the object's own frame: metres along its length and width from the
// centre, and up from the ground.
Box3d PartBox(const Box3d& whole, double along, double aside, double up, double length,
              double width, double height) {
  const double cosine = std::cos(whole.rotation_y), sine = std::sin(whole.rotation_y);
  Box3d box;
  box.length = length;
  box.width = width;
  box.height = height;
  box.x = whole.x + cosine * along + sine * aside;
  box.z = whole.z - sine * along + cosine * aside;
  box.y = whole.y - up;
  box.rotation_y = whole.rotation_y;
  return box;
}

Rgb RandomPaint(Random& random) {
  constexpr std::array<Rgb, 8> kPaints = {{{0.82f, 0.82f, 0.84f},
                                           {0.55f, 0.56f, 0.60f},
                                           {0.20f, 0.20f, 0.23f},
                                           {0.72f, 0.12f, 0.10f},
                                           {0.12f, 0.22f, 0.60f},
                                           {0.10f, 0.42f, 0.26f},
                                           {0.80f, 0.66f, 0.20f},
                                           {0.45f, 0.62f, 0.78f}}};
  return kPaints[static_cast<size_t>(random.Below(kPaints.size()))];
}

Rgb RandomCloth(Random& random) {
  return {static_cast<float>(random.Uniform(0.15, 0.9)),
          static_cast<float>(random.Uniform(0.15, 0.8)),
          static_cast<float>(random.Uniform(0.15, 0.9))};
}

// Two boxes with wheels: the body fills the label's box below, the cabin, set back, its height.
void AddCar(const Box3d& box, int object, Random& random, Scene& scene) {
  const Rgb paint = RandomPaint(random);
  const double l = box.length, w = box.width, h = box.height;
  const double waist = h * random.Uniform(0.54, 0.6);
  const double cabin = l * random.Uniform(0.5, 0.62), back = -0.06 * l;
  const auto add = [&](const Box3d& part, const Rgb& colour, Material material, float contrast) {
    scene.parts.push_back({part, colour, contrast, material, object});
  };
  add(PartBox(box, 0, 0, 0.2 * h, l, w, waist - 0.2 * h), paint, Material::kPlain, 0.4f);
  add(PartBox(box, back, 0, waist, cabin, 0.92 * w, 0.86 * h - waist), {0.13f, 0.15f, 0.19f},
      Material::kGlass, 0.6f);
  add(PartBox(box, back, 0, 0.86 * h, 0.92 * cabin, 0.92 * w, 0.14 * h), paint, Material::kPlain,
      0.4f);
  for (const double along : {-0.31, 0.31}) {
    add(PartBox(box, along * l, 0, 0, 0.17 * l, w, 0.42 * h), {0.08f, 0.08f, 0.08f},
        Material::kPlain, 0.7f);
  }
  // Lights tell front from back.
  for (const double aside : {-0.36, 0.36}) {
    add(PartBox(box, 0.495 * l, aside * w, 0.36 * h, 0.02 * l, 0.2 * w, 0.1 * h),
        {0.98f, 0.97f, 0.85f}, Material::kPlain, 0.2f);
    add(PartBox(box, -0.495 * l, aside * w, 0.36 * h, 0.02 * l, 0.2 * w, 0.1 * h),
        {0.85f, 0.08f, 0.06f}, Material::kPlain, 0.3f);
  }
}

// Legs in stride, torso, arms, head.
void AddPedestrian(const Box3d& box, int object, Random& random, Scene& scene) {
  const Rgb trousers = RandomCloth(random), coat = RandomCloth(random);
  const Rgb skin = {0.80f, 0.60f, 0.48f};
  const double l = box.length, w = box.width, h = box.height;
  const auto add = [&](const Box3d& part, const Rgb& colour, float contrast) {
    scene.parts.push_back({part, colour, contrast, Material::kPlain, object});
  };
  add(PartBox(box, 0.3 * l, 0.18 * w, 0, 0.4 * l, 0.34 * w, 0.48 * h), trousers, 0.5f);
  add(PartBox(box, -0.3 * l, -0.18 * w, 0, 0.4 * l, 0.34 * w, 0.48 * h), trousers, 0.5f);
  add(PartBox(box, 0, 0, 0.46 * h, 0.6 * l, 0.74 * w, 0.4 * h), coat, 0.5f);
  add(PartBox(box, -0.1 * l, 0.43 * w, 0.45 * h, 0.55 * l, 0.14 * w, 0.37 * h), coat, 0.6f);
  add(PartBox(box, 0.1 * l, -0.43 * w, 0.45 * h, 0.55 * l, 0.14 * w, 0.37 * h), coat, 0.6f);
  add(PartBox(box, 0, 0, 0.86 * h, 0.3 * l, 0.34 * w, 0.14 * h), skin, 0.4f);
}

Box3d CarBox(Random& random) {
  // Means and spreads of KITTI's cars: 1.53 x 1.63 x 3.88 m.
  Box3d box;
  const auto size = [&random](double mean, double spread) {
    return mean + spread * std::clamp(random.Normal(), -2.0, 2.0);
  };
  box.height = size(1.53, 0.10);
  box.width = size(1.63, 0.08);
  box.length = size(3.88, 0.33);
  box.y = kCameraHeightM;
  box.z = 6.5 + 27 * std::pow(random.Uniform(), 1.3);
  constexpr std::array<double, 4> kLanes = {-3.7, -1.7, 1.7, 3.7};
  if (random.Uniform() < 0.75) {
    const double lane = kLanes[static_cast<size_t>(random.Below(kLanes.size()))];
    box.x = lane + random.Uniform(-0.4, 0.4);
    box.rotation_y = (lane < 0 ? 1 : -1) * kPi / 2 + 0.07 * random.Normal();
    if (std::abs(lane) > 3 && random.Uniform() < 0.3) box.rotation_y += kPi;  // Parked.
  } else {
    box.x = random.Uniform(-6, 6);
    box.rotation_y = random.Uniform(-kPi, kPi);  // Turning, or crossing.
  }
  return box;
}

Box3d PedestrianBox(Random& random) {
  // Means and spreads of KITTI's pedestrians: 1.76 x 0.66 x 0.84 m.
  Box3d box;
  const auto size = [&random](double mean, double spread) {
    return mean + spread * std::clamp(random.Normal(), -2.0, 2.0);
  };
  box.height = size(1.76, 0.10);
  box.width = size(0.66, 0.08);
  box.length = size(0.84, 0.12);
  box.y = kCameraHeightM;
  box.z = 5.5 + 16 * std::pow(random.Uniform(), 1.2);
  box.x = random.Uniform(-6.5, 6.5);
  box.rotation_y = random.Uniform(-kPi, kPi);
  return box;
}

// Whether two footprints come nearer than a few decimetres.
bool Collides(Box3d box, const std::vector<SceneObject>& objects) {
  box.length += 0.5;
  box.width += 0.5;
  return std::any_of(objects.begin(), objects.end(), [&box](const SceneObject& other) {
    return metrics::IouBirdsEye(box, other.box) > 0;
  });
}

void AddObjects(int64_t count, const std::string& type, Random& random, Scene& scene) {
  constexpr int kAttempts = 40;  // A crowded street just has fewer.
  for (int64_t i = 0; i < count; ++i) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Box3d box = type == "Car" ? CarBox(random) : PedestrianBox(random);
      box.rotation_y = std::remainder(box.rotation_y, 2 * kPi);
      if (std::abs(box.x) > 0.58 * box.z + 0.5) continue;  // Outside the field of view.
      if (Collides(box, scene.objects)) continue;
      const int index = static_cast<int>(scene.objects.size());
      scene.objects.push_back({type, box});
      if (type == "Car") {
        AddCar(box, index, random, scene);
      } else {
        AddPedestrian(box, index, random, scene);
      }
      break;
    }
  }
}

void AddScenery(Random& random, Scene& scene) {
  for (const double side : {-1.0, 1.0}) {
    double z = random.Uniform(4, 9);
    while (z < 75) {
      Box3d box;
      box.height = random.Uniform(3, 11);
      box.width = random.Uniform(4, 7);
      box.length = random.Uniform(7, 16);
      box.x = side * (random.Uniform(8.5, 12) + box.width / 2);
      box.y = kCameraHeightM;
      box.z = z + box.length / 2;
      box.rotation_y = kPi / 2 + 0.03 * random.Normal();
      const auto tone = static_cast<float>(random.Uniform(0.4, 0.75));
      scene.parts.push_back({box,
                             {tone * static_cast<float>(random.Uniform(1, 1.2)), tone,
                              tone * static_cast<float>(random.Uniform(0.75, 1))},
                             0.4f,
                             Material::kBuilding});
      z += box.length + random.Uniform(0.5, 7);
    }
    const int64_t trees = 2 + random.Below(3);
    for (int64_t i = 0; i < trees; ++i) {
      Box3d trunk;
      trunk.length = trunk.width = random.Uniform(0.22, 0.45);
      trunk.height = random.Uniform(2, 3);
      trunk.x = side * random.Uniform(6.6, 8.2);
      trunk.y = kCameraHeightM;
      trunk.z = random.Uniform(9, 45);
      trunk.rotation_y = random.Uniform(0, 1);
      scene.parts.push_back({trunk, {0.36f, 0.27f, 0.20f}, 0.5f, Material::kPlain});
      if (random.Uniform() < 0.3) continue;  // A post.
      Box3d crown = trunk;
      crown.length = crown.width = random.Uniform(1.6, 2.8);
      crown.height = random.Uniform(1.5, 3);
      crown.y = trunk.y - trunk.height;
      scene.parts.push_back({crown, {0.22f, 0.42f, 0.16f}, 0.8f, Material::kFoliage});
    }
  }
}

}  // namespace

Scene MakeScene(Random& random) {
  Scene scene;
  const auto grey = static_cast<float>(random.Uniform(0.36, 0.5));
  scene.road = {grey, grey, grey * 1.03f};
  scene.verge = {static_cast<float>(random.Uniform(0.35, 0.6)),
                 static_cast<float>(random.Uniform(0.45, 0.55)),
                 static_cast<float>(random.Uniform(0.25, 0.45))};
  scene.brightness = static_cast<float>(random.Uniform(0.8, 1.15));
  AddObjects(4 + random.Below(4), "Car", random, scene);
  AddObjects(2 + random.Below(3), "Pedestrian", random, scene);
  AddScenery(random, scene);
  return scene;
}

}  // namespace backfire::datasets
