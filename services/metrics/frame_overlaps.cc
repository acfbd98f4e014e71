#include "services/metrics/frame_overlaps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "services/metrics/footprint.h"

namespace backfire::metrics {
namespace {

// Intersection, square pixels; 0 where they only touch.
double CommonArea(const Box2d& a, const Box2d& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

double AreaOf(const Box2d& box) { return box.width() * box.height(); }

double VolumeOf(const Box3d& box) { return box.height * box.length * box.width; }

// y points down: a box reaches from y - height (its top) to y.
double CommonHeight(const Box3d& a, const Box3d& b) {
  return std::max(0.0, std::min(a.y, b.y) - std::max(a.y - a.height, b.y - b.height));
}

}  // namespace

double ScoreOf(const Object& detection) {
  return detection.score.value_or(-std::numeric_limits<double>::infinity());
}

void FrameOverlaps::Compute(const ImageObjects& image, const std::array<bool, 3>& views) {
  for (auto& pairs : pairs_) pairs.clear();
  for (auto& covers : covers_) covers.clear();
  const std::vector<Object>& detections = image.detections;

  by_score_.clear();
  for (size_t j = 0; j < detections.size(); ++j) {
    if (!std::isnan(ScoreOf(detections[j]))) by_score_.push_back(static_cast<int32_t>(j));
  }
  std::stable_sort(by_score_.begin(), by_score_.end(), [&](int32_t a, int32_t b) {
    return ScoreOf(detections[a]) > ScoreOf(detections[b]);
  });
  if (detections.empty()) return;

  const bool in_image = views[static_cast<size_t>(View::kImage)];
  const bool on_ground = views[static_cast<size_t>(View::kBirdsEye)];
  const bool solid = views[static_cast<size_t>(View::k3d)];
  thread_local Footprints footprints;
  thread_local std::vector<double> common_areas;
  footprints.Clear();
  if (on_ground || solid) {
    for (const Object& detection : detections) footprints.Add(FootprintOf(detection.box_3d));
  }
  for (size_t i = 0; i < image.labels.size(); ++i) {
    const Object& label = image.labels[i];
    const bool dont_care = absl::EqualsIgnoreCase(label.type, "DontCare");
    const auto add = [&](View view, size_t j, double common, double of_detection, double of_label) {
      const auto label_index = static_cast<int32_t>(i), index = static_cast<int32_t>(j);
      if (dont_care) {
        covers_[static_cast<size_t>(view)].push_back({label_index, index, common / of_detection});
      } else {
        pairs_[static_cast<size_t>(view)].push_back(
            {label_index, index, common / (of_detection + of_label - common)});
      }
    };
    for (size_t j = 0; in_image && j < detections.size(); ++j) {
      const Box2d& box = detections[j].box_2d;
      const double common = CommonArea(box, label.box_2d);
      if (common > 0) add(View::kImage, j, common, AreaOf(box), AreaOf(label.box_2d));
    }
    if (!on_ground && !solid) continue;
    footprints.CommonAreas(FootprintOf(label.box_3d), common_areas);
    for (size_t j = 0; j < detections.size(); ++j) {
      if (!(common_areas[j] > 0)) continue;
      const Box3d &box = detections[j].box_3d, &other = label.box_3d;
      if (on_ground) {
        add(View::kBirdsEye, j, common_areas[j], box.length * box.width,
            other.length * other.width);
      }
      const double common_volume = solid ? common_areas[j] * CommonHeight(box, other) : 0;
      if (common_volume > 0) add(View::k3d, j, common_volume, VolumeOf(box), VolumeOf(other));
    }
  }
}

}  // namespace backfire::metrics
