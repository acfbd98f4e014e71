#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::runtime {

/// The text parameter by which a recipe names what its training starts from: a version of the same
/// model (`models/{model}/versions/{number}`), or weights that come with the model
/// (`pretrained:{name}`, see Model::PretrainedFile); empty: from scratch. A model whose recipe has
/// it gets the weights in TrainingTask.
inline constexpr char kInitializeFrom[] = "initialize_from";
inline constexpr char kPretrained[] = "pretrained:";

/// Completes `recipe` from the recipe of that name in `model.recipes()`, whose parameters are the
/// defaults. INVALID_ARGUMENT: unknown recipe (lists those there are), unknown parameter (lists
/// those there are), a parameter whose type differs from its default's, or a value out of the range
/// or the choices that were declared.
absl::StatusOr<v1::Recipe> CompleteRecipe(const v1::Model& model, const v1::Recipe& recipe);

/// Values that a parameter may have: from `low` to `high`, both included.
struct Range {
  double low = 0, high = 0;
};

/// Declares a parameter while a model's description is built: its default, what it may be, and what
/// it does, in a sentence, for `Recipe.described`. CompleteRecipe checks values by it.
/// @param unit  `m`, `px`; empty: a plain number.
void Declare(v1::Recipe& recipe, const std::string& name, double value, Range range,
             const std::string& unit, const std::string& description);
/// @param choices  The words allowed; empty: any.
void Declare(v1::Recipe& recipe, const std::string& name, const std::string& value,
             const std::vector<std::string>& choices, const std::string& description);
/// One whose value is a list, or a mapping, and is the model's to check.
void Declare(v1::Recipe& recipe, const std::string& name, const google::protobuf::Value& value,
             const std::string& description);

/// Gives a declared parameter another default, in a recipe that is a variant of another.
void SetParameter(v1::Recipe& recipe, const std::string& name, double value);
void SetParameter(v1::Recipe& recipe, const std::string& name, const std::string& value);

/// Reads parameters of a complete recipe. The first fault is kept: read all, then ask status().
class ParameterReader {
 public:
  explicit ParameterReader(const v1::Recipe& recipe) : recipe_(recipe) {}
  /// A number, whose range CompleteRecipe has checked.
  double Number(std::string_view name);
  /// The same, and whole.
  int64_t Integer(std::string_view name);
  /// A number in [low, high], of a parameter that is not declared.
  double Number(std::string_view name, double low, double high);
  /// A whole number in [low, high], of a parameter that is not declared.
  int64_t Integer(std::string_view name, int64_t low, int64_t high);
  std::string Text(std::string_view name);
  /// INVALID_ARGUMENT: `recipe.parameters.{name} must be ...: got ...`.
  const absl::Status& status() const { return status_; }

 private:
  const v1::Recipe& recipe_;
  absl::Status status_;
};

}  // namespace backfire::runtime
