// A classifier by a small network: one hidden layer of hyperbolic tangents, trained by Adam on all
// examples at once.
#include <cmath>
#include <limits>
#include <utility>

#include "services/base/random.h"
#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

// Weights: for each hidden unit a constant, a weight per feature, and its weight in the score; last
// the score's constant.
class Network : public Rule {
 public:
  explicit Network(std::vector<double> weights) : weights_(std::move(weights)) {}

  Output Apply(const Input& input) const override {
    const size_t stride = input.features.size() + 2;
    Output output;
    output.score = weights_.empty() ? 0 : weights_.back();
    for (size_t unit = 0; (unit + 1) * stride < weights_.size(); ++unit) {
      const double* w = weights_.data() + unit * stride;
      output.score += w[stride - 1] * std::tanh(Activation(w, input.features));
    }
    return output;
  }

  static double Activation(const double* w, const std::vector<double>& features) {
    double sum = w[0];
    for (size_t i = 0; i < features.size(); ++i) sum += w[i + 1] * features[i];
    return sum;
  }

 private:
  const std::vector<double> weights_;
};

absl::StatusOr<std::vector<double>> Fit(const std::vector<Example>& examples, int units, int steps,
                                        double rate, uint64_t seed,
                                        const std::function<bool()>& cancelled) {
  if (examples.empty()) return absl::FailedPreconditionError("there are no training examples");
  const size_t stride = examples[0].input.features.size() + 2;
  Random random(seed, /*stream=*/11);
  std::vector<double> w(static_cast<size_t>(units) * stride + 1);
  for (double& weight : w) weight = random.Normal();
  double total = 0;
  for (const Example& example : examples) total += example.cost.if_0 + example.cost.if_1;
  std::vector<double> gradient(w.size()), mean(w.size(), 0), square(w.size(), 0);
  for (int step = 1; step <= steps; ++step) {
    if (cancelled()) return absl::CancelledError("cancelled while training");
    std::fill(gradient.begin(), gradient.end(), 0);
    for (const Example& example : examples) {
      const auto& features = example.input.features;
      std::vector<double> hidden;
      double score = w.back();
      for (size_t at = 0; at + 1 < w.size(); at += stride) {
        hidden.push_back(std::tanh(Network::Activation(w.data() + at, features)));
        score += w[at + stride - 1] * hidden.back();
      }
      const double p = 1 / (1 + std::exp(-score));
      const double slope = (example.cost.if_1 * p - example.cost.if_0 * (1 - p)) / total;
      gradient.back() += slope;
      for (size_t unit = 0; unit < hidden.size(); ++unit) {
        const size_t at = unit * stride;
        const double inner = slope * w[at + stride - 1] * (1 - hidden[unit] * hidden[unit]);
        gradient[at + stride - 1] += slope * hidden[unit];
        gradient[at] += inner;
        for (size_t i = 0; i < features.size(); ++i) gradient[at + 1 + i] += inner * features[i];
      }
    }
    for (size_t i = 0; i < w.size(); ++i) {  // Kingma and Ba, 2015.
      mean[i] = 0.9 * mean[i] + 0.1 * gradient[i];
      square[i] = 0.999 * square[i] + 0.001 * gradient[i] * gradient[i];
      w[i] -= rate * (mean[i] / (1 - std::pow(0.9, step))) /
              (std::sqrt(square[i] / (1 - std::pow(0.999, step))) + 1e-8);
    }
  }
  return w;
}

class NetworkKind : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("network");
    AddSampling(recipe);
    runtime::Declare(recipe, "units", 8, {1, 256}, "", "Hidden units.");
    runtime::Declare(recipe, "steps", 300, {1, 100'000}, "",
                     "Steps of Adam, each on all examples.");
    runtime::Declare(recipe, "learning_rate", 0.05, {1e-6, 10}, "", "Step size of Adam.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    runtime::ParameterReader parameters(recipe);
    parameters.Integer("units");
    parameters.Integer("steps");
    return parameters.status();
  }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.observed());
    BACKFIRE_ASSIGN_OR_RETURN(const auto weights, FitAs(lesson, examples, lesson.seed));
    return WriteNumbers(weights);
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t features) const override {
    runtime::ParameterReader parameters(recipe);
    const auto units = static_cast<size_t>(parameters.Integer("units"));
    BACKFIRE_ASSIGN_OR_RETURN(auto numbers, ReadNumbers(weights, units * (features + 2) + 1));
    return std::make_unique<Network>(std::move(numbers));
  }
  bool random() const override { return true; }
  bool universal() const override { return false; }
  /// The best of several trainings on the population: an upper bound of what the set can reach.
  absl::StatusOr<std::string> Best(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.population());
    std::vector<double> best;
    double least = std::numeric_limits<double>::infinity();
    for (int64_t seed = 0; seed < 3; ++seed) {
      BACKFIRE_ASSIGN_OR_RETURN(auto weights, FitAs(lesson, examples, seed));
      const Network network(weights);
      std::vector<double> scores;
      for (const Example& example : examples) scores.push_back(network.Apply(example.input).score);
      const double cost = lesson.true_cost(scores);
      if (cost < least) least = cost, best = std::move(weights);
    }
    return WriteNumbers(best);
  }

 private:
  static absl::StatusOr<std::vector<double>> FitAs(const Lesson& lesson,
                                                   const std::vector<Example>& examples,
                                                   int64_t seed) {
    runtime::ParameterReader parameters(lesson.recipe);
    return Fit(examples, static_cast<int>(parameters.Integer("units")),
               static_cast<int>(parameters.Integer("steps")), parameters.Number("learning_rate"),
               static_cast<uint64_t>(seed), lesson.cancelled);
  }
};

const bool registered_network = RegisterKind(std::make_unique<NetworkKind>());

}  // namespace
}  // namespace backfire::planar
