#include "services/detection/point_rcnn/stage_labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "services/detection/point_rcnn/box_kernels.h"

namespace backfire::detection {
namespace {

constexpr float kIgnoredMarginM = 0.2f;
constexpr double kRegressionIou = 0.55, kPositiveIou = 0.6, kNegativeIou = 0.45,
                 kTouchingIou = 0.05;
constexpr double kTouchingShare = 0.8;
constexpr int kJitters = 10;  // Attempts at a jitter that keeps the overlap.
constexpr int64_t kTrueCopies = 4;

using Box = std::array<float, kBoxColumns>;

Box BoxAt(const std::vector<float>& rows, int64_t i) {
  Box box;
  std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * kBoxColumns), kBoxColumns,
              box.begin());
  return box;
}

// A true box that overlaps most, and by how much.
struct Match {
  int64_t box = -1;
  double iou = 0;
};
Match BestMatch(const Box& roi, const std::vector<float>& true_boxes) {
  Match best;
  const auto count = static_cast<int64_t>(true_boxes.size()) / kBoxColumns;
  for (int64_t b = 0; b < count; ++b) {
    const double iou = BoxIou(roi.data(), true_boxes.data() + b * kBoxColumns);
    if (best.box < 0 || iou > best.iou) best = {b, iou};
  }
  return best;
}

// Moves, resizes and turns a box at random, by up to these.
Box Jittered(const Box& box, Random& random) {
  // From small to large: what a good and what a poor first stage proposes.
  struct Range {
    double move_m, resize, turn;
  };
  static constexpr Range kRanges[] = {{0.2, 0.1, M_PI / 12},
                                      {0.3, 0.15, M_PI / 12},
                                      {0.5, 0.15, M_PI / 9},
                                      {0.8, 0.15, M_PI / 6},
                                      {1.0, 0.15, M_PI / 3}};
  const Range& range = kRanges[random.Below(std::size(kRanges))];
  Box moved = box;
  for (size_t i = 0; i < 3; ++i) {
    // A person is narrower than the moves of a car.
    const double reach = std::min(range.move_m, static_cast<double>(i == 1 ? box[3] : box[5]) / 2);
    moved[i] += static_cast<float>(random.Uniform(-reach, reach) * (i == 1 ? 0.5 : 1));
  }
  for (size_t i = 3; i < 6; ++i) {
    moved[i] *= static_cast<float>(1 + random.Uniform(-range.resize, range.resize));
  }
  moved[6] += static_cast<float>(random.Uniform(-range.turn, range.turn));
  return moved;
}

// A true box as the second stage should answer it, relative to a RoI.
Box RelativeTo(const Box& roi, const float* truth) {
  Box relative;
  std::copy_n(truth, kBoxColumns, relative.begin());
  const float dx = truth[0] - roi[0], dz = truth[2] - roi[2];
  const float c = std::cos(roi[6]), s = std::sin(roi[6]);
  relative[0] = dx * c - dz * s;
  relative[1] = truth[1] - roi[1];
  relative[2] = dx * s + dz * c;
  relative[6] = truth[6] - roi[6];
  return relative;
}

void Shuffle(std::vector<int64_t>& entries, Random& random) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto rest = static_cast<int64_t>(entries.size() - i);
    std::swap(entries[i], entries[i + static_cast<size_t>(random.Below(rest))]);
  }
}

}  // namespace

PointLabels LabelPoints(const LabelledCloud& cloud) {
  PointLabels result;
  result.labels.assign(static_cast<size_t>(cloud.point_count()), 0);
  result.truth.assign(static_cast<size_t>(cloud.point_count() * kBoxColumns), 0);
  const PointColumns columns(cloud.points.data(), cloud.point_count());
  const float no_reach = std::numeric_limits<float>::infinity();
  for (const bool grown : {true, false}) {  // What is inside a box counts whatever is around it.
    for (int64_t b = 0; b < cloud.box_count(); ++b) {
      Box box = BoxAt(cloud.boxes, b);
      const Box truth = box;
      if (grown) {
        box[1] += kIgnoredMarginM;
        for (size_t i = 3; i < 6; ++i) box[i] += 2 * kIgnoredMarginM;
      }
      for (const int64_t i :
           PointsInBox(columns, box.data(), no_reach, cloud.point_count(), nullptr)) {
        result.labels[static_cast<size_t>(i)] = grown ? -1 : 1;
        if (grown) continue;
        const float* p = cloud.points.data() + 3 * i;
        float* row = result.truth.data() + i * kBoxColumns;
        row[0] = truth[0] - p[0];
        row[1] = truth[1] - truth[3] / 2 - p[1];  // To the centre.
        row[2] = truth[2] - p[2];
        std::copy(truth.begin() + 3, truth.end(), row + 3);
      }
    }
  }
  return result;
}

RoiSample SampleRois(const std::vector<float>& proposals, const std::vector<float>& true_boxes,
                     int64_t count, Random& random) {
  std::vector<Box> candidates;
  for (int64_t i = 0; i < static_cast<int64_t>(proposals.size()) / kBoxColumns; ++i) {
    candidates.push_back(BoxAt(proposals, i));
  }
  const auto true_count = static_cast<int64_t>(true_boxes.size()) / kBoxColumns;
  for (int64_t i = 0; i < true_count * kTrueCopies; ++i) {
    candidates.push_back(Jittered(BoxAt(true_boxes, i % true_count), random));
  }
  std::vector<int64_t> good, touching, elsewhere;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double iou = BestMatch(candidates[i], true_boxes).iou;
    if (iou >= kRegressionIou) {
      good.push_back(static_cast<int64_t>(i));
    } else if (iou < kNegativeIou) {
      (iou >= kTouchingIou ? touching : elsewhere).push_back(static_cast<int64_t>(i));
    }
  }
  for (auto* list : {&good, &touching, &elsewhere}) Shuffle(*list, random);

  RoiSample sample;
  const auto take = [&](const Box& roi) {
    const Match match = BestMatch(roi, true_boxes);
    sample.boxes.insert(sample.boxes.end(), roi.begin(), roi.end());
    sample.labels.push_back(match.iou > kPositiveIou ? 1 : match.iou < kNegativeIou ? 0 : -1);
    sample.valid.push_back(match.iou > kRegressionIou ? 1 : 0);
    Box truth{};
    if (match.box >= 0) truth = RelativeTo(roi, true_boxes.data() + match.box * kBoxColumns);
    sample.truth.insert(sample.truth.end(), truth.begin(), truth.end());
  };
  // Good ones may come again, each time jittered anew.
  for (int64_t k = 0; !good.empty() && k < count / 2; ++k) {
    const Box& box = candidates[static_cast<size_t>(
        good[static_cast<size_t>(k % static_cast<int64_t>(good.size()))])];
    Box best = box;
    for (int attempt = 0; attempt < kJitters; ++attempt) {
      const Box moved = Jittered(box, random);
      if (BestMatch(moved, true_boxes).iou < kRegressionIou) continue;
      best = moved;
      break;
    }
    take(best);
  }
  const int64_t rest = count - static_cast<int64_t>(sample.labels.size());
  const auto from_touching = std::min<int64_t>(
      static_cast<int64_t>(touching.size()),
      elsewhere.empty() ? rest : static_cast<int64_t>(kTouchingShare * static_cast<double>(rest)));
  const auto from_elsewhere =
      std::min<int64_t>(static_cast<int64_t>(elsewhere.size()), rest - from_touching);
  for (int64_t i = 0; i < from_touching; ++i) {
    take(candidates[static_cast<size_t>(touching[static_cast<size_t>(i)])]);
  }
  for (int64_t i = 0; i < from_elsewhere; ++i) {
    take(candidates[static_cast<size_t>(elsewhere[static_cast<size_t>(i)])]);
  }
  return sample;
}

}  // namespace backfire::detection
