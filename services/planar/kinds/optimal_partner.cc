// The reference recipe of Equation 3, solved on the population: w+ on (u, v+_u). All parents but
// one stay as they are; that one is replaced by the classifier of a declared family that serves
// best.
#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/planar/feature_table.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/planar/sweep.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

// A convex polygon, or its complement, as an intersection of half-planes.
using Family = std::vector<HalfPlaneCut>;

bool InAll(const Family& cuts, Position point) {
  return std::all_of(cuts.begin(), cuts.end(), [point](const HalfPlaneCut& cut) {
    return cut.normal.x * point.x + cut.normal.y * point.y > cut.offset;
  });
}

// What w+ costs, while points are added to the half-plane by which a partner tells them apart.
class PartnerTally {
 public:
  /// @param group  Of each point: what the other parents say of it.
  /// @param open  Whether each point can be inside, as the polygon's other sides have it.
  PartnerTally(const std::vector<Example>& examples, const std::vector<size_t>& group,
               size_t groups, std::vector<bool> open)
      : examples_(&examples), group_(&group), open_(std::move(open)), cells_(2 * groups) {
    for (size_t i = 0; i < examples.size(); ++i) {
      Cell& outside = cells_[2 * group[i]];
      outside.if_0 += examples[i].cost.if_0;
      outside.if_1 += examples[i].cost.if_1;
    }
    for (const Cell& cell : cells_) cost_ += cell.cost();
  }
  void Add(size_t i) {
    if (!open_[i]) return;
    Cell& outside = cells_[2 * (*group_)[i]];
    Cell& inside = cells_[2 * (*group_)[i] + 1];
    cost_ -= outside.cost() + inside.cost();
    const PointCost& cost = (*examples_)[i].cost;
    outside.if_0 -= cost.if_0, outside.if_1 -= cost.if_1;
    inside.if_0 += cost.if_0, inside.if_1 += cost.if_1;
    cost_ += outside.cost() + inside.cost();
  }
  double cost() const { return cost_; }

 private:
  struct Cell {
    double if_0 = 0, if_1 = 0;
    double cost() const { return std::min(if_0, if_1); }
  };
  const std::vector<Example>* examples_;
  const std::vector<size_t>* group_;
  std::vector<bool> open_;
  std::vector<Cell> cells_;
  double cost_ = 0;
};

// w+ on (u, v+_u): looks at the point itself for what v+_u would say.
class PartnerRule : public Rule {
 public:
  PartnerRule(Family cuts, std::pair<size_t, size_t> replaced, FeatureTable::Scores scores)
      : cuts_(std::move(cuts)), replaced_(replaced), table_(std::move(scores), false) {}
  Output Apply(const Input& input) const override {
    Input changed{input.point, With(input, replaced_, InAll(cuts_, input.point))};
    return table_.Apply(changed);
  }

  /// The features with those of the replaced input left out, and its partner's label behind.
  static std::vector<double> With(const Input& input, std::pair<size_t, size_t> replaced,
                                  bool inside) {
    std::vector<double> features;
    for (size_t i = 0; i < input.features.size(); ++i) {
      if (i < replaced.first || i >= replaced.second) features.push_back(input.features[i]);
    }
    features.push_back(inside ? 1 : 0);
    return features;
  }

 private:
  const Family cuts_;
  const std::pair<size_t, size_t> replaced_;
  const FeatureTable table_;
};

class OptimalPartner : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("optimal-partner");
    runtime::Declare(recipe, "input", "v", {}, "The input whose parent is replaced.");
    runtime::Declare(recipe, "family", "half-planes", {"half-planes", "polygons"},
                     "What its partner may be.");
    runtime::Declare(recipe, "sides", 4, {3, 12}, "", "Sides of a polygon, at most.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    runtime::ParameterReader parameters(recipe);
    parameters.Integer("sides");
    return parameters.status();
  }

  /// Half-planes: every split of the population's points by a line is tried. Polygons: side after
  /// side, each the best one given the others, until none gets better.
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.population());
    BACKFIRE_ASSIGN_OR_RETURN(const auto replaced, Replaced(lesson));
    runtime::ParameterReader parameters(lesson.recipe);
    const bool polygons = parameters.Text("family") == "polygons";
    const auto sides = polygons ? static_cast<size_t>(parameters.Integer("sides")) : 1;

    std::vector<Position> points;
    std::vector<size_t> group;
    std::map<std::vector<double>, size_t> groups;
    for (const Example& example : examples) {
      points.push_back(example.input.point);
      const auto others = PartnerRule::With(example.input, replaced, false);
      group.push_back(groups.emplace(others, groups.size()).first->second);
    }
    const std::vector<double> angles = SweepDirections(points);
    Family cuts;
    double least = std::numeric_limits<double>::infinity();
    for (size_t turn = 0, unchanged = 0; unchanged < sides && turn < 20 * sides; ++turn) {
      if (lesson.cancelled()) return absl::CancelledError("cancelled while training");
      Family others = cuts;
      if (cuts.size() == sides) others.erase(others.begin());  // The oldest is looked at again.
      std::vector<bool> open;
      for (const Position point : points) open.push_back(InAll(others, point));
      const HalfPlaneCut cut = BestHalfPlane(
          points, angles, PartnerTally(examples, group, groups.size(), std::move(open)));
      unchanged = cut.cost < least ? 0 : unchanged + 1;
      if (cut.cost > least) break;
      least = cut.cost;
      others.push_back(cut);
      cuts = std::move(others);
    }

    std::vector<Example> seen = examples;
    for (Example& example : seen) {
      example.input.features =
          PartnerRule::With(example.input, replaced, InAll(cuts, example.input.point));
    }
    std::vector<double> head = {static_cast<double>(replaced.first),
                                static_cast<double>(replaced.second),
                                static_cast<double>(cuts.size())};
    for (const HalfPlaneCut& cut : cuts) {
      head.insert(head.end(), {cut.normal.x, cut.normal.y, cut.offset});
    }
    return absl::StrCat(WriteNumbers(head), "table\n",
                        FeatureTable::Write(BestScores(seen, false)));
  }

  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe&, const std::string& weights,
                                                   size_t features) const override {
    constexpr char kMark[] = "table\n";
    const size_t mark = weights.find(kMark);
    if (mark == std::string::npos) return absl::DataLossError("weights have no table");
    BACKFIRE_ASSIGN_OR_RETURN(const auto head, ReadNumbers(weights.substr(0, mark)));
    const bool has_head = head.size() >= 3 && 0 <= head[0] && head[0] <= head[1] &&
                          head[1] <= static_cast<double>(features) && 0 <= head[2] &&
                          head.size() == 3 + 3 * static_cast<size_t>(std::min(head[2], 1e6));
    if (!has_head) return absl::DataLossError("weights have no partner of such features");
    const size_t others = features - static_cast<size_t>(head[1] - head[0]);
    BACKFIRE_ASSIGN_OR_RETURN(
        auto scores, FeatureTable::Read(weights.substr(mark + sizeof(kMark) - 1), others + 1));
    Family cuts;
    for (size_t i = 3; i < head.size(); i += 3)
      cuts.push_back({{head[i], head[i + 1]}, head[i + 2]});
    return std::make_unique<PartnerRule>(
        std::move(cuts),
        std::pair<size_t, size_t>{static_cast<size_t>(head[0]), static_cast<size_t>(head[1])},
        std::move(scores));
  }

 private:
  // Which of the features the replaced input gives: from, to.
  static absl::StatusOr<std::pair<size_t, size_t>> Replaced(const Lesson& lesson) {
    const std::string name = Parameter(lesson.recipe, "input").string_value();
    size_t first = 0;
    for (const auto& [input, size] : lesson.inputs) {
      if (input == name) return std::pair<size_t, size_t>{first, first + static_cast<size_t>(size)};
      first += static_cast<size_t>(size);
    }
    return absl::InvalidArgumentError(
        absl::StrCat(ParameterPath("input"), ": the model has no input \"", name, "\""));
  }
};

const bool registered_optimal_partner = RegisterKind(std::make_unique<OptimalPartner>());

}  // namespace
}  // namespace backfire::planar
