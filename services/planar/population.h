#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/planar/distribution.h"
#include "services/runtime/dataset_access.h"

namespace backfire::planar {

/// What predictions cost points of each component: of a label, on average over its noise.
struct Costs {
  std::vector<double> if_0;    ///< By component: of predicting 0.
  std::vector<double> if_1;    ///< By component: of predicting 1.
  std::vector<double> counts;  ///< By component: how much its points count; 0: not at all.
};

/// An integral over a distribution.
struct Integral {
  double value = 0;
  double error = 0;  ///< How far the truth may be from `value`; 0: exact, up to rounding.
};

/// A distribution as the points where functions of the plane are asked for to integrate them: its
/// points if it is discrete, else the nodes of a mesh of triangles. Immutable.
class Population {
 public:
  /// CANCELLED: as `access` says; a fine mesh of many components takes seconds.
  /// @param distribution  Borrowed.
  /// @param cells  Of a continuous distribution's mesh, per axis; even, >= 2.
  static absl::StatusOr<std::unique_ptr<const Population>> Build(
      const Distribution& distribution, int cells, const runtime::DatasetAccess& access);

  const std::vector<Position>& nodes() const { return nodes_; }
  bool discrete() const { return cells_ == 0; }
  /// Probability of a component near a node: of the node's point, or under its hat function.
  double Mass(size_t node, int component) const {
    return masses_[node * static_cast<size_t>(components_) + static_cast<size_t>(component)];
  }

  /// Mean over the distribution of what predicting `score > 0` costs. Between the nodes of a
  /// triangle the score is taken as linear, and each side of where it is 0 is integrated by itself:
  /// exact for linear scores. The stated error is the distance from the same on half as many cells.
  /// @param scores  By node.
  Integral MeanCost(const Costs& costs, const std::vector<double>& scores) const;
  /// Only the value of it.
  double MeanCostValue(const Costs& costs, const std::vector<double>& scores) const {
    return MeanCostOn(1, costs, scores);
  }
  /// Mean over the distribution of a function, linear between the nodes.
  Integral Mean(const std::vector<double>& counts, const std::vector<double>& values) const;

 private:
  Population(const Distribution& distribution, int cells);
  // Finds the probabilities at and under the nodes.
  void TakePoints();
  absl::Status Integrate(const runtime::DatasetAccess& access);
  size_t Node(int column, int row) const {
    return static_cast<size_t>(row) * (static_cast<size_t>(cells_) + 1) +
           static_cast<size_t>(column);
  }
  // Calls visit(corners' nodes, first of the triangle's masses) for each triangle of every
  // `step`-th row and column.
  template <typename Visit>
  void ForEachTriangle(int step, const Visit& visit) const;
  double Total(const std::vector<double>& counts) const;
  double MeanCostOn(int step, const Costs& costs, const std::vector<double>& scores) const;

  const Distribution& distribution_;
  int cells_ = 0;  // 0: discrete.
  int components_ = 0;
  std::vector<Position> nodes_;
  std::vector<double> masses_;            // By node, then component.
  std::vector<double> fine_, coarse_;     // By triangle, then component.
  std::vector<double> component_totals_;  // 1 but for what is outside of the mesh.
};

}  // namespace backfire::planar
