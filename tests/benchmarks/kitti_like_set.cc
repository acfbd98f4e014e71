#include "tests/benchmarks/kitti_like_set.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "services/metrics/object.h"

namespace backfire::benchmarks {
namespace {

using metrics::Object;

constexpr double kPi = 3.14159265358979323846;
constexpr double kFocal = 721.5, kCentreX = 609.6, kCentreY = 172.9;  // KITTI's P2.
constexpr double kWidth = 1242, kHeight = 375;

struct Kind {
  const char* type;
  double per_frame;  // KITTI's training set: objects over 7481 frames.
  double height, width, length;
};
constexpr std::array<Kind, 8> kKinds = {{{"Car", 3.84, 1.53, 1.63, 3.88},
                                         {"Van", 0.39, 2.21, 1.90, 5.08},
                                         {"Truck", 0.15, 3.25, 2.59, 10.1},
                                         {"Pedestrian", 0.60, 1.76, 0.66, 0.84},
                                         {"Person_sitting", 0.03, 1.27, 0.59, 0.80},
                                         {"Cyclist", 0.22, 1.74, 0.60, 1.76},
                                         {"Tram", 0.07, 3.53, 2.54, 16.1},
                                         {"Misc", 0.13, 1.91, 1.51, 3.58}}};

// The box around the projected corners, and how much of it the image cuts off. None: not seen.
bool Project(Object& object) {
  const metrics::Box3d& box = object.box_3d;
  double left = 1e9, right = -1e9, top = 1e9, bottom = -1e9;
  for (int corner = 0; corner < 8; ++corner) {
    const double along = (corner & 1 ? 0.5 : -0.5) * box.length;
    const double across = (corner & 2 ? 0.5 : -0.5) * box.width;
    const double x = box.x + std::cos(box.rotation_y) * along + std::sin(box.rotation_y) * across;
    const double z = box.z - std::sin(box.rotation_y) * along + std::cos(box.rotation_y) * across;
    const double y = corner & 4 ? box.y : box.y - box.height;
    const double depth = std::max(z, 0.5);
    left = std::min(left, kCentreX + kFocal * x / depth);
    right = std::max(right, kCentreX + kFocal * x / depth);
    top = std::min(top, kCentreY + kFocal * y / depth);
    bottom = std::max(bottom, kCentreY + kFocal * y / depth);
  }
  const double whole = (right - left) * (bottom - top);
  object.box_2d = {std::max(left, 0.0), std::max(top, 0.0), std::min(right, kWidth - 1),
                   std::min(bottom, kHeight - 1)};
  if (object.box_2d.width() <= 4 || object.box_2d.height() <= 4) return false;
  object.truncation = 1 - object.box_2d.width() * object.box_2d.height() / whole;
  object.alpha = std::remainder(box.rotation_y - std::atan2(box.x, box.z), 2 * kPi);
  return true;
}

std::optional<Object> Place(const Kind& kind, Random& random) {
  Object object;
  object.type = kind.type;
  const double scale = 1 + 0.08 * random.Normal();
  object.box_3d.height = kind.height * scale;
  object.box_3d.width = kind.width * scale;
  object.box_3d.length = kind.length * (1 + 0.1 * random.Normal());
  object.box_3d.z = 4 + 66 * std::pow(random.Uniform(), 1.6);
  object.box_3d.x = random.Uniform(-0.75, 0.75) * (object.box_3d.z + 3);
  object.box_3d.y = 1.65 + 0.1 * random.Normal();
  object.box_3d.rotation_y = random.Uniform() < 0.8
                                 ? (random.Below(2) ? 1 : -1) * kPi / 2 + 0.15 * random.Normal()
                                 : random.Uniform(-kPi, kPi);
  if (!Project(object)) return std::nullopt;
  const double far = object.box_3d.z / 70;
  const double draw = random.Uniform();
  object.occlusion = draw < 0.5 - 0.2 * far ? 0 : (draw < 0.78 ? 1 : (draw < 0.95 ? 2 : 3));
  return object;
}

// How many, for a mean: the whole part, and one more with the probability of the rest, spread.
int64_t Count(double mean, Random& random) {
  const double spread = mean * random.Uniform(0, 2);
  const auto whole = static_cast<int64_t>(spread);
  return whole + (random.Uniform() < spread - static_cast<double>(whole) ? 1 : 0);
}

Object Detect(const Object& label, Random& random) {
  Object found = label;
  const double noise = 0.5 + label.box_3d.z / 40 + 0.5 * label.occlusion;
  found.box_3d.x += 0.05 * noise * random.Normal();
  found.box_3d.y += 0.03 * noise * random.Normal();
  found.box_3d.z += 0.10 * noise * random.Normal();
  found.box_3d.height *= 1 + 0.02 * noise * random.Normal();
  found.box_3d.width *= 1 + 0.02 * noise * random.Normal();
  found.box_3d.length *= 1 + 0.03 * noise * random.Normal();
  found.box_3d.rotation_y += 0.04 * noise * random.Normal();
  if (random.Uniform() < 0.03) found.box_3d.rotation_y += kPi;
  found.box_3d.rotation_y = std::remainder(found.box_3d.rotation_y, 2 * kPi);
  found.alpha =
      std::remainder(found.box_3d.rotation_y - std::atan2(found.box_3d.x, found.box_3d.z), 2 * kPi);
  for (double* edge :
       {&found.box_2d.left, &found.box_2d.top, &found.box_2d.right, &found.box_2d.bottom}) {
    *edge += 0.02 * label.box_2d.height() * noise * random.Normal();
  }
  found.box_2d.left = std::max(found.box_2d.left, 0.0);
  found.score = 1 / (1 + std::exp(-(3 - noise + random.Normal())));
  return found;
}

std::string Line(const Object& object) {
  std::array<char, 400> text{};
  const bool is_label = !object.score.has_value();
  int length = std::snprintf(
      text.data(), text.size(),
      "%s %.2f %d %.2f %.2f %.2f %.2f %.2f %.2f %.2f %.2f %.2f %.2f %.2f %.2f", object.type.c_str(),
      is_label ? object.truncation : -1, is_label ? object.occlusion : -1, object.alpha,
      object.box_2d.left, object.box_2d.top, object.box_2d.right, object.box_2d.bottom,
      object.box_3d.height, object.box_3d.width, object.box_3d.length, object.box_3d.x,
      object.box_3d.y, object.box_3d.z, object.box_3d.rotation_y);
  std::string line(text.data(), static_cast<size_t>(length));
  if (!is_label) {
    length = std::snprintf(text.data(), text.size(), " %.4f", *object.score);
    line.append(text.data(), static_cast<size_t>(length));
  }
  return line + "\n";
}

void WriteFrame(const std::filesystem::path& folder, const std::string& name, Random& random,
                KittiLikeSet& set) {
  std::string labels, detections;
  for (const Kind& kind : kKinds) {
    const std::string type = kind.type;
    const bool detected = type == "Car" || type == "Pedestrian" || type == "Cyclist";
    for (int64_t i = Count(kind.per_frame, random); i > 0; --i) {
      const auto label = Place(kind, random);
      if (!label.has_value()) continue;
      labels += Line(*label);
      ++set.labels;
      Object seen = *label;
      if (type == "Van") seen.type = "Car";
      if (!detected && random.Uniform() < (type == "Van" ? 0.3 : 0.9)) continue;
      const double sure = 0.97 - label->box_3d.z / 150 - 0.12 * label->occlusion;
      if (random.Uniform() > sure) continue;
      for (int copy = random.Uniform() < 0.1 ? 2 : 1; copy > 0; --copy) {
        detections += Line(Detect(seen, random));
        ++set.detections;
      }
    }
    for (int64_t i = detected ? Count(kind.per_frame * 0.8, random) : 0; i > 0; --i) {
      auto wrong = Place(kind, random);
      if (!wrong.has_value()) continue;
      wrong->score = 0.7 * std::pow(random.Uniform(), 2);
      detections += Line(*wrong);
      ++set.detections;
    }
  }
  for (int64_t i = Count(1.5, random); i > 0; --i) {
    const double left = random.Uniform(0, 1150), top = random.Uniform(150, 200);
    std::array<char, 200> text{};
    std::snprintf(text.data(), text.size(),
                  "DontCare -1 -1 -10 %.2f %.2f %.2f %.2f -1 -1 -1 -1000 -1000 -1000 -10\n", left,
                  top, left + random.Uniform(15, 80), top + random.Uniform(10, 40));
    labels += text.data();
    ++set.labels;
  }
  std::ofstream(folder / "label_2" / name) << labels;
  std::ofstream(folder / "results" / "data" / name) << detections;
}

}  // namespace

KittiLikeSet WriteKittiLikeSet(const std::filesystem::path& folder, int64_t frames, uint64_t seed) {
  std::filesystem::create_directories(folder / "label_2");
  std::filesystem::create_directories(folder / "results" / "data");
  KittiLikeSet set;
  for (int64_t frame = 0; frame < frames; ++frame) {
    Random random(seed, static_cast<uint64_t>(frame));
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "%06lld.txt", static_cast<long long>(frame));
    WriteFrame(folder, name.data(), random, set);
  }
  return set;
}

}  // namespace backfire::benchmarks
