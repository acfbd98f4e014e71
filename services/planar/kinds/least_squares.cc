// A regressor of position: the affine function of the features that is nearest to where the
// training examples are.
#include <Eigen/Dense>
#include <utility>

#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

class AffineRule : public Rule {
 public:
  explicit AffineRule(std::vector<double> weights) : weights_(std::move(weights)) {}
  Output Apply(const Input& input) const override {
    const size_t size = weights_.size() / 2;
    Output output;
    if (size != input.features.size() + 1) return output;
    output.position = {weights_[0], weights_[size]};
    for (size_t i = 1; i < size; ++i) {
      output.position.x += weights_[i] * input.features[i - 1];
      output.position.y += weights_[size + i] * input.features[i - 1];
    }
    return output;
  }

 private:
  const std::vector<double> weights_;  // Of x: constant, then by feature; then of y.
};

class LeastSquaresKind : public Kind {
 public:
  Gives gives() const override { return Gives::kPosition; }
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("least-squares");
    AddSampling(recipe);
    runtime::Declare(recipe, "regularisation", 1e-6, {1e-9, 1e9}, "",
                     "Penalty of the squares of all weights but the constants.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe&) const override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.observed());
    runtime::ParameterReader parameters(lesson.recipe);
    const double ridge = parameters.Number("regularisation");
    if (examples.empty()) return absl::FailedPreconditionError("there are no training examples");
    const auto size = static_cast<Eigen::Index>(examples[0].input.features.size()) + 1;
    Eigen::MatrixXd squares = ridge * Eigen::MatrixXd::Identity(size, size);
    squares(0, 0) = 0;
    Eigen::MatrixXd products = Eigen::MatrixXd::Zero(size, 2);
    for (const Example& example : examples) {
      Eigen::VectorXd row(size);
      row(0) = 1;
      for (Eigen::Index i = 1; i < size; ++i) {
        row(i) = example.input.features[static_cast<size_t>(i - 1)];
      }
      squares += row * row.transpose();
      products.col(0) += example.input.point.x * row;
      products.col(1) += example.input.point.y * row;
    }
    const Eigen::MatrixXd weights = squares.ldlt().solve(products);
    return WriteNumbers({weights.data(), weights.data() + weights.size()});
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe&, const std::string& weights,
                                                   size_t features) const override {
    BACKFIRE_ASSIGN_OR_RETURN(auto numbers, ReadNumbers(weights, 2 * (features + 1)));
    return std::make_unique<AffineRule>(std::move(numbers));
  }
};

const bool registered_least_squares = RegisterKind(std::make_unique<LeastSquaresKind>());

}  // namespace
}  // namespace backfire::planar
