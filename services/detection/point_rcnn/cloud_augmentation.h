#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/metrics/object.h"

namespace backfire::detection {

/// A cloud with its objects of one class.
struct LabelledCloud {
  std::vector<float> points;  ///< [n, 3], metres.
  std::vector<float> boxes;   ///< [k, 7]: see box_kernels.h.
  int64_t point_count() const { return static_cast<int64_t>(points.size()) / 3; }
  int64_t box_count() const { return static_cast<int64_t>(boxes.size()) / 7; }
};

/// A row of LabelledCloud::boxes, and back.
std::vector<float> BoxRow(const metrics::Box3d& box);
metrics::Box3d BoxOfRow(const float* row);

/// Objects cut out of clouds, to be pasted into others (ground-truth sampling; Yan et al.,
/// "SECOND", 2018). Immutable once filled.
class ObjectBank {
 public:
  /// Takes the objects of a cloud that have at least `min_points` points.
  void Add(const LabelledCloud& cloud, int64_t min_points);
  int64_t size() const { return static_cast<int64_t>(objects_.size()); }

  /// Pastes up to `count` objects at the place where they were found, each unless its footprint,
  /// grown by 0.2 m, meets one that is there. The cloud's own points inside it go.
  void Paste(LabelledCloud& cloud, int64_t count, Random& random) const;

 private:
  std::vector<LabelledCloud> objects_;  // One box each.
};

/// Scales all by 0.95 to 1.05, turns all about y by up to pi / 18, and mirrors left and right half
/// of the time.
void AugmentCloud(LabelledCloud& cloud, Random& random);

/// The parts of it. Turning by `angle` moves a point (x, z) to (x cos - z sin, x sin + z cos).
void ScaleCloud(LabelledCloud& cloud, float factor);
void TurnCloud(LabelledCloud& cloud, float angle);
void MirrorCloud(LabelledCloud& cloud);

}  // namespace backfire::detection
