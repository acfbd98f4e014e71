#include "services/planar/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::planar {
namespace {

constexpr double kMaxLogOdds = 700;
constexpr double kNever = -std::numeric_limits<double>::infinity();

double LogOdds(double log_cost_of_0, double log_cost_of_1) {
  if (log_cost_of_0 == kNever && log_cost_of_1 == kNever) return -kMaxLogOdds;
  return std::clamp(log_cost_of_0 - log_cost_of_1, -kMaxLogOdds, kMaxLogOdds);
}

// log(exp(a) + exp(b)).
double AddLogs(double a, double b) {
  if (a == kNever) return b;
  if (b == kNever) return a;
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}

}  // namespace

absl::StatusOr<Judge> Judge::Make(const PlanarDataset& dataset, const Target& target) {
  Judge judge(dataset);
  const Distribution& distribution = dataset.distribution();
  const auto components = static_cast<size_t>(distribution.component_count());
  judge.by_label_ = target.loss() != "position_error";
  judge.costs_.counts.assign(target.counts().begin(), target.counts().end());
  judge.costs_.counts.resize(components, 1);
  judge.costs_.if_0.assign(components, 0);
  judge.costs_.if_1.assign(components, 0);
  if (target.false_negative_cost() > 0) judge.cost_of_missing_1_ = target.false_negative_cost();
  if (target.false_positive_cost() > 0) judge.cost_of_missing_0_ = target.false_positive_cost();
  if (judge.by_label_) {
    const std::string name = target.label().empty() ? "class" : target.label();
    const auto& names = distribution.label_names();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "dataset: no point has a label \"", name, "\"; there are: ", absl::StrJoin(names, ", ")));
    }
    judge.label_ = static_cast<size_t>(found - names.begin());
  }

  // Chance that a point with this label is seen with a 1.
  const double noise = dataset.data().label_noise();
  const auto chance_of_1 = [noise](int8_t label) { return label == 1 ? 1 - noise : noise; };
  const Population& population = dataset.population();
  judge.node_costs_.resize(population.nodes().size());
  if (distribution.discrete()) {
    double total = 0;
    for (size_t i = 0; i < judge.node_costs_.size(); ++i) {
      const Distribution::Atom& atom = distribution.atoms()[i];
      PointCost& cost = judge.node_costs_[i];
      cost.count = judge.costs_.counts[static_cast<size_t>(atom.component)] * atom.probability;
      if (judge.by_label_) {
        const int8_t label = atom.labels[judge.label_];
        if (label < 0) cost.count = 0;
        cost.if_0 = cost.count * chance_of_1(label) * judge.cost_of_missing_1_;
        cost.if_1 = cost.count * (1 - chance_of_1(label)) * judge.cost_of_missing_0_;
        cost.log_odds = LogOdds(std::log(cost.if_0), std::log(cost.if_1));
      }
      total += cost.count;
    }
    if (!(total > 0)) return absl::InvalidArgumentError("dataset: no point counts for this target");
    for (PointCost& cost : judge.node_costs_) {
      cost.if_0 /= total, cost.if_1 /= total, cost.count /= total;
    }
    return judge;
  }

  double total = 0;
  for (size_t c = 0; c < components; ++c) {
    if (judge.by_label_) {
      const int8_t label = distribution.labels(static_cast<int>(c))[judge.label_];
      if (label < 0) judge.costs_.counts[c] = 0;
      judge.costs_.if_0[c] = chance_of_1(label) * judge.cost_of_missing_1_;
      judge.costs_.if_1[c] = (1 - chance_of_1(label)) * judge.cost_of_missing_0_;
    }
    total += judge.costs_.counts[c] * distribution.share(static_cast<int>(c));
  }
  if (!(total > 0)) return absl::InvalidArgumentError("dataset: no point counts for this target");
  for (size_t i = 0; i < judge.node_costs_.size(); ++i) {
    PointCost& cost = judge.node_costs_[i];
    double log_0 = kNever, log_1 = kNever;
    for (size_t c = 0; c < components; ++c) {
      const double count = judge.costs_.counts[c];
      if (count == 0) continue;
      const double mass = count * population.Mass(i, static_cast<int>(c)) / total;
      cost.if_0 += mass * judge.costs_.if_0[c];
      cost.if_1 += mass * judge.costs_.if_1[c];
      cost.count += mass;
      if (!judge.by_label_) continue;
      const double log_density =
          std::log(count * distribution.share(static_cast<int>(c))) +
          distribution.LogDensity(static_cast<int>(c), population.nodes()[i]);
      log_0 = AddLogs(log_0, log_density + std::log(judge.costs_.if_0[c]));
      log_1 = AddLogs(log_1, log_density + std::log(judge.costs_.if_1[c]));
    }
    cost.log_odds = LogOdds(log_0, log_1);
  }
  return judge;
}

PointCost Judge::CostOf(const PlanarDataset::Example& example) const {
  PointCost cost;
  cost.count = costs_.counts[static_cast<size_t>(example.component)];
  if (!by_label_) return cost;
  const int8_t label = example.labels[label_];
  if (label < 0) cost.count = 0;
  if (label == 1) cost.if_0 = cost_of_missing_1_;
  if (label == 0) cost.if_1 = cost_of_missing_0_;
  return cost;
}

Integral Judge::TrueCost(const std::vector<double>& scores) const {
  if (!dataset_->population().discrete()) return dataset_->population().MeanCost(costs_, scores);
  return {TrueCostValue(scores), /*error=*/0};
}

double Judge::TrueCostValue(const std::vector<double>& scores) const {
  if (!dataset_->population().discrete()) {
    return dataset_->population().MeanCostValue(costs_, scores);
  }
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    sum += scores[i] > 0 ? node_costs_[i].if_1 : node_costs_[i].if_0;
  }
  return sum;
}

Integral Judge::TrueDistance(const std::vector<double>& distances) const {
  return dataset_->population().Mean(costs_.counts, distances);
}

}  // namespace backfire::planar
