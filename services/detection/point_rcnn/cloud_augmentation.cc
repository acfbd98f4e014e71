#include "services/detection/point_rcnn/cloud_augmentation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "services/detection/point_rcnn/box_kernels.h"

namespace backfire::detection {
namespace {

constexpr float kClearanceM = 0.2f;
constexpr float kNoReach = std::numeric_limits<float>::infinity();

std::vector<float> Grown(const float* box, float margin) {
  std::vector<float> grown(box, box + kBoxColumns);
  grown[1] += margin;
  for (size_t i = 3; i < 6; ++i) grown[i] += 2 * margin;
  return grown;
}

std::vector<int64_t> Inside(const LabelledCloud& cloud, const float* box) {
  return PointsInBox(PointColumns(cloud.points.data(), cloud.point_count()), box, kNoReach,
                     cloud.point_count(), nullptr);
}

}  // namespace

std::vector<float> BoxRow(const metrics::Box3d& box) {
  std::vector<float> row;
  for (const double value :
       {box.x, box.y, box.z, box.height, box.width, box.length, box.rotation_y}) {
    row.push_back(static_cast<float>(value));
  }
  return row;
}

metrics::Box3d BoxOfRow(const float* row) {
  metrics::Box3d box;
  box.x = row[0];
  box.y = row[1];
  box.z = row[2];
  box.height = row[3];
  box.width = row[4];
  box.length = row[5];
  box.rotation_y = std::remainder(static_cast<double>(row[6]), 2 * M_PI);
  return box;
}

void ObjectBank::Add(const LabelledCloud& cloud, int64_t min_points) {
  for (int64_t b = 0; b < cloud.box_count(); ++b) {
    const float* box = cloud.boxes.data() + b * kBoxColumns;
    const std::vector<int64_t> inside = Inside(cloud, box);
    if (static_cast<int64_t>(inside.size()) < std::max<int64_t>(min_points, 1)) continue;
    LabelledCloud& object = objects_.emplace_back();
    object.boxes.assign(box, box + kBoxColumns);
    for (const int64_t i : inside) {
      const float* p = cloud.points.data() + 3 * i;
      object.points.insert(object.points.end(), p, p + 3);
    }
  }
}

void ObjectBank::Paste(LabelledCloud& cloud, int64_t count, Random& random) const {
  for (int64_t k = 0; k < count && !objects_.empty(); ++k) {
    const LabelledCloud& object =
        objects_[static_cast<size_t>(random.Below(static_cast<int64_t>(objects_.size())))];
    const std::vector<float> space = Grown(object.boxes.data(), kClearanceM);
    bool free = true;
    for (int64_t b = 0; b < cloud.box_count(); ++b) {
      free = free && FootprintOverlap(space.data(), cloud.boxes.data() + b * kBoxColumns) <= 0;
    }
    if (!free) continue;
    std::vector<bool> goes(static_cast<size_t>(cloud.point_count()), false);
    for (const int64_t i : Inside(cloud, space.data())) goes[static_cast<size_t>(i)] = true;
    std::vector<float> points;
    points.reserve(cloud.points.size() + object.points.size());
    for (size_t i = 0; i < goes.size(); ++i) {
      if (goes[i]) continue;
      const float* p = cloud.points.data() + 3 * i;
      points.insert(points.end(), p, p + 3);
    }
    points.insert(points.end(), object.points.begin(), object.points.end());
    cloud.points = std::move(points);
    cloud.boxes.insert(cloud.boxes.end(), object.boxes.begin(), object.boxes.end());
  }
}

void ScaleCloud(LabelledCloud& cloud, float factor) {
  for (float& value : cloud.points) value *= factor;
  for (size_t i = 0; i < cloud.boxes.size(); ++i) {
    if (i % kBoxColumns != 6) cloud.boxes[i] *= factor;
  }
}

void TurnCloud(LabelledCloud& cloud, float angle) {
  const float c = std::cos(angle), s = std::sin(angle);
  const auto turn = [&](float* p) {
    const float x = p[0], z = p[2];
    p[0] = x * c - z * s;
    p[2] = x * s + z * c;
  };
  for (size_t i = 0; i < cloud.points.size(); i += 3) turn(cloud.points.data() + i);
  for (size_t i = 0; i < cloud.boxes.size(); i += kBoxColumns) {
    turn(cloud.boxes.data() + i);
    cloud.boxes[i + 6] -= angle;
  }
}

void MirrorCloud(LabelledCloud& cloud) {
  for (size_t i = 0; i < cloud.points.size(); i += 3) cloud.points[i] = -cloud.points[i];
  for (size_t i = 0; i < cloud.boxes.size(); i += kBoxColumns) {
    cloud.boxes[i] = -cloud.boxes[i];
    const float heading = cloud.boxes[i + 6];
    cloud.boxes[i + 6] = static_cast<float>(heading >= 0 ? M_PI : -M_PI) - heading;
  }
}

void AugmentCloud(LabelledCloud& cloud, Random& random) {
  ScaleCloud(cloud, static_cast<float>(random.Uniform(0.95, 1.05)));
  TurnCloud(cloud, static_cast<float>(random.Uniform(-M_PI / 18, M_PI / 18)));
  if (random.Uniform() < 0.5) MirrorCloud(cloud);
}

}  // namespace backfire::detection
