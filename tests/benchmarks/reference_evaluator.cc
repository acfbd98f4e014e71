#include "tests/benchmarks/reference_evaluator.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // In Boost 1.74's rescale_policy.hpp.
#endif

#include <algorithm>
#include <boost/geometry.hpp>
#include <boost/geometry/geometries/point_xy.hpp>
#include <boost/geometry/geometries/polygon.hpp>
#include <cmath>
#include <functional>

#include "absl/strings/match.h"

namespace backfire::benchmarks {
namespace {

using metrics::Object;
using Polygon = boost::geometry::model::polygon<boost::geometry::model::d2::point_xy<double>>;

enum class Role { kAbsent, kIgnored, kCounted };

// Areas of intersection and union of two footprints.
struct CommonGround {
  double intersection = 0, all = 0, first = 0;
};

Polygon Outline(const metrics::Box3d& box) {
  Polygon polygon;
  const double c = std::cos(box.rotation_y), s = std::sin(box.rotation_y);
  const std::array<std::array<double, 2>, 5> signs = {{{1, 1}, {1, -1}, {-1, -1}, {-1, 1}, {1, 1}}};
  for (const auto& [along, across] : signs) {
    const double l = along * box.length / 2, w = across * box.width / 2;
    boost::geometry::append(polygon.outer(), boost::geometry::model::d2::point_xy<double>(
                                                 box.x + c * l + s * w, box.z - s * l + c * w));
  }
  return polygon;
}

CommonGround Intersect(const metrics::Box3d& a, const metrics::Box3d& b) {
  const Polygon first = Outline(a), second = Outline(b);
  std::vector<Polygon> common, all;
  boost::geometry::intersection(first, second, common);
  boost::geometry::union_(first, second, all);
  return {common.empty() ? 0 : boost::geometry::area(common.front()),
          boost::geometry::area(all.front()), boost::geometry::area(first)};
}

// Intersection over union; over the detection's own size if `of_detection`.
double Overlap(metrics::View view, const Object& detection, const Object& label,
               bool of_detection) {
  if (view == metrics::View::kImage) {
    const metrics::Box2d &a = detection.box_2d, &b = label.box_2d;
    const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
    const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
    if (width <= 0 || height <= 0) return 0;
    const double common = width * height, own = a.width() * a.height();
    return common / (of_detection ? own : own + b.width() * b.height() - common);
  }
  const metrics::Box3d &a = detection.box_3d, &b = label.box_3d;
  const CommonGround ground = Intersect(a, b);
  if (view == metrics::View::kBirdsEye) {
    return ground.intersection / (of_detection ? ground.first : ground.all);
  }
  const double height =
      std::max(0.0, std::min(a.y, b.y) - std::max(a.y - a.height, b.y - b.height));
  const double common = ground.intersection * height, own = a.height * a.width * a.length;
  return common / (of_detection ? own : own + b.height * b.width * b.length - common);
}

struct Frame {
  std::vector<Role> labels, detections;  // An ignored detection is a small one.
  std::vector<const Object*> areas;
};

struct Tally {
  std::vector<double> scores;
  int64_t hits = 0, false_positives = 0;
};

Frame Prepare(const metrics::ImageObjects& image, const metrics::AveragePrecisionOptions& rules) {
  const bool easy = rules.difficulty == metrics::Difficulty::kEasy;
  const auto level = static_cast<int>(rules.difficulty);
  const double least = easy ? 40 : 25;
  const std::array<double, 3> truncations = {0.15, 0.30, 0.50};
  const char* neighbour = absl::EqualsIgnoreCase(rules.type, "Car")          ? "Van"
                          : absl::EqualsIgnoreCase(rules.type, "Pedestrian") ? "Person_sitting"
                                                                             : "";
  Frame frame;
  for (const Object& label : image.labels) {
    const bool of_class = absl::EqualsIgnoreCase(label.type, rules.type);
    const bool fits = label.occlusion <= level && label.truncation <= truncations[level] &&
                      label.box_2d.height() > least;
    const bool near = absl::EqualsIgnoreCase(label.type, neighbour);
    frame.labels.push_back(of_class && fits   ? Role::kCounted
                           : of_class || near ? Role::kIgnored
                                              : Role::kAbsent);
    if (absl::EqualsIgnoreCase(label.type, "DontCare")) frame.areas.push_back(&label);
  }
  for (const Object& detection : image.detections) {
    const bool of_class = absl::EqualsIgnoreCase(detection.type, rules.type);
    frame.detections.push_back(std::abs(detection.box_2d.height()) < least ? Role::kIgnored
                               : of_class                                  ? Role::kCounted
                                                                           : Role::kAbsent);
  }
  return frame;
}

// One frame, once: pass one (no threshold) or pass two.
Tally MatchOnce(const metrics::ImageObjects& image, const Frame& frame,
                const metrics::AveragePrecisionOptions& rules, const double* threshold) {
  Tally tally;
  std::vector<bool> taken(image.detections.size(), false);
  const auto free = [&](size_t j) {
    return frame.detections[j] != Role::kAbsent && !taken[j] &&
           (threshold == nullptr || *image.detections[j].score >= *threshold);
  };
  for (size_t i = 0; i < image.labels.size(); ++i) {
    if (frame.labels[i] == Role::kAbsent) continue;
    int best = -1;
    double best_value = 0;
    for (size_t j = 0; j < image.detections.size(); ++j) {
      if (!free(j)) continue;
      const double overlap = Overlap(rules.view, image.detections[j], image.labels[i], false);
      if (!(overlap > rules.iou_threshold)) continue;
      const bool small = frame.detections[j] == Role::kIgnored;
      if (threshold == nullptr) {
        if (best >= 0 && *image.detections[j].score <= best_value) continue;
        best_value = *image.detections[j].score;
      } else if (small) {
        if (best >= 0) continue;
        best_value = -1;
      } else {
        if (overlap <= best_value) continue;
        best_value = overlap;
      }
      best = static_cast<int>(j);
    }
    if (best < 0) continue;
    taken[best] = true;
    if (frame.labels[i] == Role::kIgnored || frame.detections[best] == Role::kIgnored) continue;
    ++tally.hits;
    tally.scores.push_back(*image.detections[best].score);
  }
  if (threshold == nullptr) return tally;
  for (size_t j = 0; j < image.detections.size(); ++j) {
    tally.false_positives += free(j) && frame.detections[j] == Role::kCounted ? 1 : 0;
  }
  for (const Object* area : frame.areas) {
    for (size_t j = 0; j < image.detections.size(); ++j) {
      if (!free(j) || frame.detections[j] != Role::kCounted) continue;
      if (!(Overlap(rules.view, image.detections[j], *area, true) > rules.iou_threshold)) continue;
      taken[j] = true;
      --tally.false_positives;
    }
  }
  return tally;
}

}  // namespace

double ReferenceIouBirdsEye(const metrics::Box3d& a, const metrics::Box3d& b) {
  const CommonGround ground = Intersect(a, b);
  return ground.intersection / ground.all;
}

std::array<double, 41> ReferencePrecision(const std::vector<metrics::ImageObjects>& images,
                                          const metrics::AveragePrecisionOptions& rules) {
  std::vector<Frame> frames;
  std::vector<double> scores;
  double counted = 0;
  for (const metrics::ImageObjects& image : images) {
    frames.push_back(Prepare(image, rules));
    const Tally tally = MatchOnce(image, frames.back(), rules, nullptr);
    scores.insert(scores.end(), tally.scores.begin(), tally.scores.end());
    for (const Role role : frames.back().labels) counted += role == Role::kCounted ? 1 : 0;
  }
  std::sort(scores.begin(), scores.end(), std::greater<>());
  std::vector<double> thresholds;
  double recall = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double here = static_cast<double>(i + 1) / counted;
    const double next = static_cast<double>(i + 2) / counted;
    if (i + 1 < scores.size() && next - recall < recall - here) continue;
    thresholds.push_back(scores[i]);
    recall += 1.0 / 40;
  }
  std::vector<Tally> totals(thresholds.size());
  for (size_t f = 0; f < images.size(); ++f) {
    for (size_t k = 0; k < thresholds.size(); ++k) {
      const Tally tally = MatchOnce(images[f], frames[f], rules, &thresholds[k]);
      totals[k].hits += tally.hits;
      totals[k].false_positives += tally.false_positives;
    }
  }
  std::array<double, 41> precision{};
  for (size_t k = 0; k < totals.size(); ++k) {
    const auto found = static_cast<double>(totals[k].hits + totals[k].false_positives);
    precision[k] = found > 0 ? static_cast<double>(totals[k].hits) / found : 0;
  }
  for (size_t k = 40; k-- > 0;) precision[k] = std::max(precision[k], precision[k + 1]);
  return precision;
}

}  // namespace backfire::benchmarks
