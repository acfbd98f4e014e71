// Classifiers whose score is a polynomial of the features, by logistic regression: linear,
// quadratic, or of a given degree.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/minimise.h"
#include "services/planar/parameters.h"
#include "services/planar/sweep.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

// Monomials of degree 0, then 1, ... of x and y: 1, x, y, x^2, x y, y^2 ...
std::vector<double> Monomials(const std::vector<double>& features, int degree) {
  std::vector<double> all = {1};
  std::vector<std::pair<double, size_t>> last = {{1, 0}};  // With the first feature to go on with.
  for (int d = 0; d < degree; ++d) {
    std::vector<std::pair<double, size_t>> next;
    for (const auto& [value, first] : last) {
      for (size_t i = first; i < features.size(); ++i) next.emplace_back(value * features[i], i);
    }
    for (const auto& [value, first] : next) all.push_back(value);
    last = std::move(next);
  }
  return all;
}

double Score(const std::vector<double>& monomials, const std::vector<double>& weights) {
  double score = 0;
  for (size_t i = 0; i < weights.size(); ++i) score += weights[i] * monomials[i];
  return score;
}

class PolynomialRule : public Rule {
 public:
  PolynomialRule(std::vector<double> weights, int degree)
      : weights_(std::move(weights)), degree_(degree) {}
  Output Apply(const Input& input) const override {
    const std::vector<double> monomials = Monomials(input.features, degree_);
    Output output;
    if (monomials.size() == weights_.size()) output.score = Score(monomials, weights_);
    return output;
  }

 private:
  const std::vector<double> weights_;
  const int degree_;
};

double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

// Minimises the logistic loss plus ridge / 2 * |weights without the constant|^2, by Newton's
// method.
std::vector<double> FitLogistic(const std::vector<Example>& examples, int degree, double ridge) {
  std::vector<Eigen::VectorXd> rows;
  for (const Example& example : examples) {
    const std::vector<double> row = Monomials(example.input.features, degree);
    rows.push_back(
        Eigen::Map<const Eigen::VectorXd>(row.data(), static_cast<Eigen::Index>(row.size())));
  }
  const Eigen::Index size = rows.empty() ? 1 : rows[0].size();
  const auto objective = [&](const Eigen::VectorXd& w) {
    double sum = ridge / 2 * w.tail(size - 1).squaredNorm();
    for (size_t i = 0; i < rows.size(); ++i) {
      const double score = rows[i].dot(w);
      sum += examples[i].cost.if_0 * Softplus(-score) + examples[i].cost.if_1 * Softplus(score);
    }
    return sum;
  };
  Eigen::VectorXd w = Eigen::VectorXd::Zero(size);
  double now = objective(w);
  for (int iteration = 0; iteration < 60; ++iteration) {
    Eigen::VectorXd gradient = ridge * w;
    gradient(0) = 0;
    Eigen::MatrixXd hessian = ridge * Eigen::MatrixXd::Identity(size, size);
    hessian(0, 0) = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const double p = 1 / (1 + std::exp(-rows[i].dot(w)));
      const PointCost& cost = examples[i].cost;
      gradient += (cost.if_1 * p - cost.if_0 * (1 - p)) * rows[i];
      hessian += (cost.if_0 + cost.if_1) * p * (1 - p) * rows[i] * rows[i].transpose();
    }
    // A little more on the diagonal keeps steps finite where the examples say nothing.
    hessian.diagonal().array() += 1e-9;
    const Eigen::VectorXd step = hessian.ldlt().solve(gradient);
    double length = 1;
    double next = objective(w - step);
    while (!(next <= now) && length > 1e-6) next = objective(w - (length /= 2) * step);
    if (!(next <= now)) break;
    w -= length * step;
    const double gain = now - next;
    now = next;
    if (gain < 1e-12 * (1 + std::abs(now))) break;
  }
  return {w.data(), w.data() + size};
}

class PolynomialKind : public Kind {
 public:
  /// @param degree  0: a parameter.
  PolynomialKind(std::string name, int degree) : name_(std::move(name)), degree_(degree) {}

  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name(name_);
    AddSampling(recipe);
    runtime::Declare(recipe, "regularisation", 1e-3, {1e-9, 1e9}, "",
                     "Penalty of the squares of all weights but the constant, beside the sum of "
                     "the examples' losses.");
    if (degree_ == 0) {
      runtime::Declare(recipe, "degree", 3, {1, 8}, "", "Degree of the polynomial.");
    }
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    runtime::ParameterReader parameters(recipe);
    if (degree_ == 0) parameters.Integer("degree");
    return parameters.status();
  }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.observed());
    runtime::ParameterReader parameters(lesson.recipe);
    return WriteNumbers(
        FitLogistic(examples, Degree(lesson.recipe), parameters.Number("regularisation")));
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t features) const override {
    const size_t count = Monomials(std::vector<double>(features), Degree(recipe)).size();
    BACKFIRE_ASSIGN_OR_RETURN(auto numbers, ReadNumbers(weights, count));
    return std::make_unique<PolynomialRule>(std::move(numbers), Degree(recipe));
  }

  bool universal() const override { return false; }
  /// Of two features and degree 1: the best of all splits of the population's points by a line,
  /// then polished. Otherwise the best that is found from the best of several starts.
  absl::StatusOr<std::string> Best(const Lesson& lesson) const override;

 private:
  int Degree(const v1::Recipe& recipe) const {
    if (degree_ > 0) return degree_;
    runtime::ParameterReader parameters(recipe);
    return static_cast<int>(parameters.Integer("degree"));
  }

  const std::string name_;
  const int degree_;
};

// What a half-plane costs as a classifier, while points are added to it.
struct ClassifierTally {
  const std::vector<Example>* examples;
  double sum = 0;
  explicit ClassifierTally(const std::vector<Example>& all) : examples(&all) {
    for (const Example& example : all) sum += example.cost.if_0;
  }
  void Add(size_t i) { sum += (*examples)[i].cost.if_1 - (*examples)[i].cost.if_0; }
  double cost() const { return sum; }
};

absl::StatusOr<std::string> PolynomialKind::Best(const Lesson& lesson) const {
  BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.population());
  const int degree = Degree(lesson.recipe);
  std::vector<std::vector<double>> rows;
  std::vector<Position> points;
  for (const Example& example : examples) {
    rows.push_back(Monomials(example.input.features, degree));
    if (example.input.features.size() == 2) {
      points.push_back({example.input.features[0], example.input.features[1]});
    }
  }
  const auto cost = [&](const std::vector<double>& weights) {
    std::vector<double> scores;
    for (const auto& row : rows) scores.push_back(Score(row, weights));
    return lesson.true_cost(scores);
  };
  std::vector<std::vector<double>> starts;
  if (points.size() == rows.size()) {
    std::vector<double> line(rows[0].size(), 0);
    const HalfPlaneCut cut =
        BestHalfPlane(points, SweepDirections(points), ClassifierTally(examples));
    line[0] = -cut.offset, line[1] = cut.normal.x, line[2] = cut.normal.y;
    starts.push_back(line);
  }
  for (const double ridge : {1e-7, 1e-3}) starts.push_back(FitLogistic(examples, degree, ridge));
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (std::vector<double>& start : starts) {
    // Scores mean nothing but their sign: the greatest weight is 1.
    double length = 0;
    for (const double weight : start) length = std::max(length, std::abs(weight));
    for (double& weight : start) weight /= length > 0 ? length : 1;
    if (const double value = cost(start); value < least) least = value, best = start;
  }
  if (lesson.cancelled()) return absl::CancelledError("cancelled while training");
  std::vector<double> polished = Minimise(cost, best, 0.1, 150 * static_cast<int>(best.size()));
  if (cost(polished) < least) best = std::move(polished);
  return WriteNumbers(best);
}

const bool registered_polynomial = RegisterKind(std::make_unique<PolynomialKind>("linear", 1)) &&
                                   RegisterKind(std::make_unique<PolynomialKind>("quadratic", 2)) &&
                                   RegisterKind(std::make_unique<PolynomialKind>("polynomial", 0));

}  // namespace
}  // namespace backfire::planar
