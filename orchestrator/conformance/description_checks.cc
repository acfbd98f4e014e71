#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"

namespace backfire::conformance {
namespace {

absl::Status CheckTensors(const google::protobuf::RepeatedPtrField<v1::TensorSignature>& tensors) {
  std::set<std::string> names;
  for (const v1::TensorSignature& tensor : tensors) {
    if (tensor.name().empty()) return Broken("a tensor has no name");
    if (!names.insert(tensor.name()).second) {
      return Broken(absl::StrCat("\"", tensor.name(), "\" is there twice"));
    }
    if (ElementBytes(tensor.datatype()) == 0) {
      return Broken(absl::StrCat("\"", tensor.name(), "\" has datatype \"", tensor.datatype(),
                                 "\": tensors are of numbers (BOOL, UINT8, INT64, FP32 ...), and a "
                                 "text travels as UINT8"));
    }
    for (const int64_t size : tensor.shape()) {
      if (size < -1) return Broken(absl::StrCat("\"", tensor.name(), "\" has size ", size));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRecipes(const v1::Model& model) {
  std::set<std::string> names;
  for (const v1::Recipe& recipe : model.recipes()) {
    if (recipe.name().empty()) return Broken("a recipe has no name");
    if (!names.insert(recipe.name()).second) {
      return Broken(absl::StrCat("recipe \"", recipe.name(), "\" is there twice"));
    }
    const auto& defaults = recipe.parameters().fields();
    for (const v1::RecipeParameter& parameter : recipe.described()) {
      const std::string which =
          absl::StrCat("recipe \"", recipe.name(), "\", parameter \"", parameter.name(), "\": ");
      const auto found = defaults.find(parameter.name());
      if (found == defaults.end()) return Broken(which + "is described and has no default");
      const double value = found->second.number_value();
      if (found->second.has_number_value() &&
          ((parameter.has_minimum() && !(value >= parameter.minimum())) ||
           (parameter.has_maximum() && !(value <= parameter.maximum())))) {
        return Broken(absl::StrCat(which, "its default ", value, " is out of its range"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

void TryDescription(Trial& trial) {
  const v1::Model& model = trial.model();
  trial.Check("GetModel describes a model in full", [&]() -> absl::Status {
    if (!absl::StartsWith(model.name(), "models/") || model.name().size() == 7) {
      return Broken(absl::StrCat("name must be models/{model}: got \"", model.name(), "\""));
    }
    if (model.kind() != v1::Model::MODEL && model.kind() != v1::Model::TRANSFORM) {
      return Broken("kind must be MODEL or TRANSFORM");
    }
    if (model.outputs().empty()) return Broken("outputs must not be empty");
    if (model.recipes().empty()) return Broken("recipes must not be empty");
    if (model.losses().empty()) return Broken("losses must not be empty");
    if (model.build_fingerprint().empty()) return Broken("build_fingerprint must not be empty");
    return absl::OkStatus();
  });
  trial.Check("GetModel gives the same by name and again", [&]() -> absl::Status {
    v1::GetModelRequest request;
    request.set_name(model.name());
    const auto again = trial.Call(&Trial::Stub::GetModel, request);
    if (!again.ok()) return Broken(again.status().ToString());
    // A map has no order, so that bytes may differ; names and fingerprint don't.
    if (again->name() == model.name() && again->build_fingerprint() == model.build_fingerprint()) {
      return absl::OkStatus();
    }
    return Broken("name or build_fingerprint differ");
  });
  trial.Check("tensors have names of their own, known datatypes and shapes", [&]() -> absl::Status {
    const absl::Status inputs = CheckTensors(model.inputs());
    return inputs.ok() ? CheckTensors(model.outputs()) : inputs;
  });
  trial.Check("recipes have names of their own, and defaults in their ranges",
              [&] { return CheckRecipes(model); });
  trial.Check("an unknown model is NOT_FOUND", [&] {
    v1::GetModelRequest request;
    request.set_name("models/there-is-none-of-this-name");
    return MustBe(absl::StatusCode::kNotFound, trial.Call(&Trial::Stub::GetModel, request));
  });
}

}  // namespace backfire::conformance
