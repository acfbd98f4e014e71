#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/planar/kind.h"

namespace backfire::planar {

/// A rule that knows a score for each of finitely many features, equal to the last bit; of others,
/// the nearest one's. Immutable.
class FeatureTable : public Rule {
 public:
  using Scores = std::map<std::vector<double>, double>;

  /// @param by_point  Looks at the point instead of the features.
  FeatureTable(Scores scores, bool by_point) : scores_(std::move(scores)), by_point_(by_point) {}
  Output Apply(const Input& input) const override;

  static std::string Write(const Scores& scores);
  /// DATA_LOSS: not what Write gives for keys of so many numbers.
  static absl::StatusOr<Scores> Read(const std::string& weights, size_t features);

 private:
  const Scores scores_;
  const bool by_point_;
};

/// The best score, as a logarithm of odds, for every value that features (or points) have in the
/// population: of equal ones, on average.
FeatureTable::Scores BestScores(const std::vector<Example>& population, bool by_point);

}  // namespace backfire::planar
