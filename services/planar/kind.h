#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/planar/geometry.h"
#include "services/planar/judge.h"

namespace backfire::planar {

/// What a rule may look at.
struct Input {
  Position point;                ///< Where the example is.
  std::vector<double> features;  ///< What the parents give; of a vertex without parents, the point.
};

/// What a rule says of an example: of a classifier the score, > 0 for label 1; else the position.
struct Output {
  double score = 0;
  Position position;
};

/// A trained model as a function. Immutable.
class Rule {
 public:
  virtual ~Rule() = default;
  virtual Output Apply(const Input& input) const = 0;
};

/// An example to learn from: an observed one, or a node of the population.
struct Example {
  Input input;
  PointCost cost;
};

/// What a training is given. The first fault of reading examples is the training's.
struct Lesson {
  v1::Recipe recipe;  ///< With every parameter at its effective value.
  int64_t seed = 0;
  std::function<absl::StatusOr<std::vector<Example>>()> observed;
  std::function<absl::StatusOr<std::vector<Example>>()> population;
  /// True mean cost of scores by node of the population.
  std::function<double(const std::vector<double>& scores)> true_cost;
  /// As it is where a recipe works with others' features: names of the model's inputs, in the order
  /// of `features`, with the number of features that each gives.
  std::vector<std::pair<std::string, int>> inputs;
  std::function<bool()> cancelled;
};

/// A kind of model: a learning algorithm with its hypothesis set, under a recipe's name. To add
/// one, write one file in kinds/ that ends in `const bool registered_NAME = RegisterKind(...)`, and
/// list it in CMakeLists.txt. Thread-safe.
class Kind {
 public:
  enum class Gives { kLabel, kPosition };

  virtual ~Kind() = default;
  virtual Gives gives() const { return Gives::kLabel; }
  /// Name, and every parameter at its default.
  virtual v1::Recipe defaults() const = 0;
  /// INVALID_ARGUMENT: a parameter out of range.
  virtual absl::Status Check(const v1::Recipe& recipe) const = 0;
  /// Whether a seed changes what is learnt from given examples; which examples are given is the
  /// sampling's matter (parameters.h).
  virtual bool random() const { return false; }
  /// Learns from lesson.observed. Returns weights.
  virtual absl::StatusOr<std::string> Train(const Lesson& lesson) const = 0;
  /// @param features  How many an example has.
  /// DATA_LOSS: weights that Train does not give for so many features.
  virtual absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                           const std::string& weights,
                                                           size_t features) const = 0;

  /// Whether the hypothesis set holds every function, at least in the limit. If not, Best must be
  /// there too.
  virtual bool universal() const { return true; }
  /// Weights of the hypothesis with the least true cost on lesson.population.
  virtual absl::StatusOr<std::string> Best(const Lesson&) const {
    return absl::UnimplementedError("every function is in the hypothesis set");
  }
};

/// Makes a kind known. @return true, to initialise a constant with.
bool RegisterKind(std::unique_ptr<const Kind> kind);
/// All kinds, by name.
const std::vector<const Kind*>& Kinds();
/// The kind of that name, or null.
const Kind* FindKind(const std::string& name);

/// Weights as text and back: numbers that read as they were written. DATA_LOSS: not numbers.
std::string WriteNumbers(const std::vector<double>& numbers);
absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& text);
/// The same, of which there must be so many. DATA_LOSS: there are not.
absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& text, size_t count);
/// Rows of weights whose sizes stand before them, as `size, features ..., number`. DATA_LOSS: a row
/// is cut short, or has another number of features.
absl::StatusOr<std::vector<std::vector<double>>> ReadRows(const std::string& text, size_t features);

/// What Train gives where nothing is learnt, as the recipe states it all. DATA_LOSS: it is not
/// that.
inline constexpr char kStated[] = "stated";
absl::Status CheckStated(const std::string& weights);

}  // namespace backfire::planar
