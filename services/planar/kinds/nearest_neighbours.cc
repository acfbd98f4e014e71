// A classifier by the labels of the k nearest training examples.
#include <algorithm>
#include <utility>

#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

struct Neighbour {
  std::vector<double> features;
  double vote = 0;  // What label 0 would cost there, less what label 1 would.
};

class NeighboursRule : public Rule {
 public:
  NeighboursRule(std::vector<Neighbour> known, size_t k) : known_(std::move(known)), k_(k) {}
  Output Apply(const Input& input) const override {
    std::vector<std::pair<double, size_t>> near;
    for (size_t i = 0; i < known_.size(); ++i) {
      double square = 0;
      for (size_t d = 0; d < std::min(known_[i].features.size(), input.features.size()); ++d) {
        const double difference = known_[i].features[d] - input.features[d];
        square += difference * difference;
      }
      near.emplace_back(square, i);
    }
    const size_t count = std::min(k_, near.size());
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end());
    Output output;
    for (size_t i = 0; i < count; ++i) {
      output.score += known_[near[i].second].vote / static_cast<double>(count);
    }
    return output;
  }

 private:
  const std::vector<Neighbour> known_;
  const size_t k_;
};

class NeighboursKind : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("nearest-neighbours");
    AddSampling(recipe);
    runtime::Declare(recipe, "k", 5, {1, 1000}, "", "How many neighbours have a say.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    runtime::ParameterReader parameters(recipe);
    parameters.Integer("k");
    return parameters.status();
  }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.observed());
    std::vector<double> numbers;
    for (const Example& example : examples) {
      numbers.push_back(static_cast<double>(example.input.features.size()));
      numbers.insert(numbers.end(), example.input.features.begin(), example.input.features.end());
      numbers.push_back(example.cost.if_0 - example.cost.if_1);
    }
    return WriteNumbers(numbers);
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t features) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto rows, ReadRows(weights, features));
    std::vector<Neighbour> known;
    for (const std::vector<double>& row : rows) {
      known.push_back({{row.begin(), row.end() - 1}, row.back()});
    }
    runtime::ParameterReader parameters(recipe);
    const auto k = static_cast<size_t>(parameters.Integer("k"));
    return std::make_unique<NeighboursRule>(std::move(known), k);
  }
};

const bool registered_nearest_neighbours = RegisterKind(std::make_unique<NeighboursKind>());

}  // namespace
}  // namespace backfire::planar
