#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/planar/planar_dataset.h"

namespace backfire::planar {

/// What predictions cost at a point, on average over the labels that it may have.
struct PointCost {
  double if_0 = 0;   ///< Of predicting 0.
  double if_1 = 0;   ///< Of predicting 1.
  double count = 0;  ///< How much the point counts; 0: not at all.
  /// Logarithm of if_0 / if_1 just here: > 0 where 1 is the better prediction. Within [-700, 700].
  double log_odds = 0;
};

/// A target applied to a dataset: judges labels, or positions. Immutable; borrows the dataset.
class Judge {
 public:
  /// INVALID_ARGUMENT: the dataset has no such label.
  static absl::StatusOr<Judge> Make(const PlanarDataset& dataset, const Target& target);

  /// Of an example with its observed label.
  PointCost CostOf(const PlanarDataset::Example& example) const;
  /// Of the population's nodes; `if_0` and `if_1` are shares of the mean cost: over all nodes, the
  /// chosen ones sum to it.
  const std::vector<PointCost>& node_costs() const { return node_costs_; }

  /// True mean cost of predicting `score > 0`. @param scores  By node.
  Integral TrueCost(const std::vector<double>& scores) const;
  /// Only the value of it: for those who ask often.
  double TrueCostValue(const std::vector<double>& scores) const;
  /// True mean distance. @param distances  By node.
  Integral TrueDistance(const std::vector<double>& distances) const;

 private:
  explicit Judge(const PlanarDataset& dataset) : dataset_(&dataset) {}

  const PlanarDataset* dataset_;
  bool by_label_ = true;
  size_t label_ = 0;
  double cost_of_missing_1_ = 1;
  double cost_of_missing_0_ = 1;
  Costs costs_;  // By component; of a discrete distribution only the counts matter.
  std::vector<PointCost> node_costs_;
};

}  // namespace backfire::planar
