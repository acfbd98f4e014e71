#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/random.h"
#include "services/planar/data.pb.h"
#include "services/planar/geometry.h"
#include "services/runtime/dataset_access.h"

namespace backfire::planar {

/// Labels by position in Distribution::label_names(): 0, 1, or -1 where a point has none.
using Labels = std::vector<int8_t>;

/// A mixture of components over the plane, as Data describes it, without its label noise.
/// Immutable.
class Distribution {
 public:
  /// A point that a discrete distribution gives with positive probability.
  struct Atom {
    Position point;
    int component = 0;
    double probability = 0;
    Labels labels;
  };
  /// A point drawn.
  struct Draw {
    Position point;
    int component = 0;
    Labels labels;
  };

  /// INVALID_ARGUMENT: `components[2].gaussian.deviation must be > 0: got 0`. NOT_FOUND: no such
  /// CSV file. PERMISSION_DENIED, CANCELLED: as `access` says.
  static absl::StatusOr<Distribution> Build(const Data& data, const runtime::DatasetAccess& access);

  bool discrete() const { return !atoms_.empty(); }
  int component_count() const { return static_cast<int>(shares_.size()); }
  /// Probability of a component.
  double share(int component) const { return shares_[static_cast<size_t>(component)]; }
  const std::vector<std::string>& label_names() const { return label_names_; }
  /// Of a component, before regions.
  const Labels& labels(int component) const { return labels_[static_cast<size_t>(component)]; }

  /// Of a discrete distribution; probabilities sum to 1.
  const std::vector<Atom>& atoms() const { return atoms_; }

  /// Of a continuous one: a rectangle outside of which all but 1e-10 of nothing falls.
  Position low() const { return low_; }
  Position high() const { return high_; }
  /// Natural logarithm of a component's density, its share left out; -infinity where it has none.
  double LogDensity(int component, Position point) const;
  /// Probability that a point of a component falls into a convex polygon; by Gauss' rule with 5 x 5
  /// nodes per triangle, exact for uniform components.
  double Mass(int component, const std::vector<Position>& polygon) const;
  /// Adds the integrals of a component's density times each corner's linear hat function.
  void AddHatMasses(int component, const Position corners[3], double masses[3]) const;

  Draw Sample(Random& random) const;

 private:
  /// A normal distribution.
  struct Blob {
    Position mean;
    double xx = 1, xy = 0, yy = 1;     // Inverse covariance.
    double log_norm = 0;               // Of the density.
    double l11 = 1, l21 = 0, l22 = 1;  // Cholesky factor of the covariance.
  };
  /// A blurred arc: normal across, and uniform with normal ends along.
  struct Band {
    Position centre;
    double radius = 0;  // 0: there is none.
    double deviation = 0;
    double middle = 0, half = 0;  // Angles, radians; half >= pi: all around.
  };
  struct Shape {
    std::optional<Blob> blob;       // Or else:
    Band band;                      // Or else:
    std::vector<Position> polygon;  // Counter-clockwise.
    double area = 0;
  };

  absl::Status AddComponent(const Component& component, const std::string& path, Shape& shape);
  absl::Status AddPoints(const Points& points, int component, const std::string& path,
                         const runtime::DatasetAccess& access);
  absl::Status PaintRegions(const Data& data, const runtime::DatasetAccess& access);
  size_t LabelIndex(const std::string& name);
  static double LogDensityOf(const Shape& shape, Position point);

  std::vector<double> shares_;
  std::vector<std::string> label_names_;
  std::vector<Labels> labels_;
  std::vector<Shape> shapes_;
  std::vector<Atom> atoms_;
  std::vector<double> cumulative_;  // Of the atoms' probabilities.
  Position low_, high_;
};

}  // namespace backfire::planar
