#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
/// those there are), or a parameter whose type differs from its default's.
absl::StatusOr<v1::Recipe> CompleteRecipe(const v1::Model& model, const v1::Recipe& recipe);

/// Sets a default parameter while a model's description is built.
void SetParameter(v1::Recipe& recipe, const std::string& name, double value);
void SetParameter(v1::Recipe& recipe, const std::string& name, const std::string& value);

/// Reads parameters of a complete recipe. The first fault is kept: read all, then ask status().
class ParameterReader {
 public:
  explicit ParameterReader(const v1::Recipe& recipe) : recipe_(recipe) {}
  /// A number in [low, high].
  double Number(std::string_view name, double low, double high);
  /// A whole number in [low, high].
  int64_t Integer(std::string_view name, int64_t low, int64_t high);
  std::string Text(std::string_view name);
  /// INVALID_ARGUMENT: `recipe.parameters.{name} must be ...: got ...`.
  const absl::Status& status() const { return status_; }

 private:
  const v1::Recipe& recipe_;
  absl::Status status_;
};

}  // namespace backfire::runtime
