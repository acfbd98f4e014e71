#include "services/planar/feature_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "services/base/status.h"

namespace backfire::planar {

Output FeatureTable::Apply(const Input& input) const {
  const std::vector<double> features =
      by_point_ ? std::vector<double>{input.point.x, input.point.y} : input.features;
  Output output;
  if (const auto found = scores_.find(features); found != scores_.end()) {
    output.score = found->second;
    return output;
  }
  double nearest = std::numeric_limits<double>::infinity();
  for (const auto& [known, score] : scores_) {
    double square = 0;
    for (size_t i = 0; i < std::min(known.size(), features.size()); ++i) {
      square += (known[i] - features[i]) * (known[i] - features[i]);
    }
    if (square < nearest) nearest = square, output.score = score;
  }
  return output;
}

std::string FeatureTable::Write(const Scores& scores) {
  std::vector<double> numbers;
  for (const auto& [features, score] : scores) {
    numbers.push_back(static_cast<double>(features.size()));
    numbers.insert(numbers.end(), features.begin(), features.end());
    numbers.push_back(score);
  }
  return WriteNumbers(numbers);
}

absl::StatusOr<FeatureTable::Scores> FeatureTable::Read(const std::string& weights,
                                                        size_t features) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto rows, ReadRows(weights, features));
  Scores scores;
  for (const std::vector<double>& row : rows) scores[{row.begin(), row.end() - 1}] = row.back();
  return scores;
}

FeatureTable::Scores BestScores(const std::vector<Example>& population, bool by_point) {
  struct Group {
    double if_0 = 0, if_1 = 0, log_odds = 0;
    int size = 0;
  };
  std::map<std::vector<double>, Group> groups;
  for (const Example& example : population) {
    Group& group =
        groups[by_point ? std::vector<double>{example.input.point.x, example.input.point.y}
                        : example.input.features];
    group.if_0 += example.cost.if_0;
    group.if_1 += example.cost.if_1;
    group.log_odds = example.cost.log_odds;
    ++group.size;
  }
  FeatureTable::Scores scores;
  for (const auto& [features, group] : groups) {
    double score = group.log_odds;
    if (group.size > 1 && (group.if_0 > 0 || group.if_1 > 0)) {
      // Beyond 700 the logarithm says no more than its sign.
      score = std::clamp(std::log(group.if_0) - std::log(group.if_1), -700.0, 700.0);
    }
    scores[features] = score;
  }
  return scores;
}

}  // namespace backfire::planar
