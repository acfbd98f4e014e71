// Every parameter of the recipe by itself: another value makes another version, and something else.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::conformance {
namespace {

using google::protobuf::Value;
using std::chrono::steady_clock;

// For all parameters together: a recipe may have dozens, and take a while to learn.
constexpr std::chrono::minutes kMostTime(3);

const v1::RecipeParameter* Find(const v1::Recipe& recipe, const std::string& name) {
  for (const v1::RecipeParameter& parameter : recipe.described()) {
    if (parameter.name() == name) return &parameter;
  }
  return nullptr;
}

// Values to try in place of one, those first that surely change something without taking long.
std::vector<Value> OtherValues(const Value& usual, const v1::RecipeParameter* described) {
  std::vector<Value> values;
  if (usual.has_bool_value()) {
    values.emplace_back().set_bool_value(!usual.bool_value());
  } else if (usual.has_string_value() && described != nullptr) {
    for (const std::string& choice : described->choices()) {
      if (choice != usual.string_value()) values.emplace_back().set_string_value(choice);
    }
  } else if (usual.has_number_value()) {
    const double is = usual.number_value();
    for (const double value : {is * 2, is + 1, std::floor(is / 2), is / 2, 0.0, is * 10, is - 1}) {
      const bool low =
          described != nullptr && described->has_minimum() && value < described->minimum();
      const bool high =
          described != nullptr && described->has_maximum() && value > described->maximum();
      bool known = value == is || low || high;
      for (const Value& other : values) known = known || other.number_value() == value;
      if (!known) values.emplace_back().set_number_value(value);
    }
  }
  return values;
}

std::string Text(const Value& value) {
  return value.has_string_value() ? value.string_value()
         : value.has_bool_value() ? (value.bool_value() ? "true" : "false")
                                  : absl::StrCat(value.number_value());
}

absl::Status CheckParameter(Trial& trial, const Trained& base, const std::string& name,
                            const Value& usual, steady_clock::time_point give_up) {
  int trained = 0;
  std::vector<Value> values = OtherValues(usual, Find(*trial.described_recipe(), name));
  for (const Value& value : values) {
    if (steady_clock::now() > give_up) return NotTried("it takes too long");
    v1::TrainRequest request = trial.TrainRequest();
    (*request.mutable_recipe()->mutable_parameters()->mutable_fields())[name] = value;
    const absl::StatusOr<v1::Job> job = trial.Train(request);
    if (!job.ok()) continue;  // Out of range, or unable to learn like that.
    ++trained;
    const std::string what = absl::StrCat(name, " = ", Text(value));
    BACKFIRE_RETURN_IF_ERROR(MustDiffer(base.version, job->version(), what));
    const auto& fields = job->version().recipe().parameters().fields();
    const auto kept = fields.find(name);
    if (kept == fields.end() || kept->second.SerializeAsString() != value.SerializeAsString()) {
      return Broken(absl::StrCat("the version's recipe must have ", what));
    }
    if (trial.options().inert.count(name) > 0) return absl::OkStatus();
    BACKFIRE_ASSIGN_OR_RETURN(const Trained other, trial.Look(job->version()));
    if (!SameOutputs(base.outputs, other.outputs) ||
        !SameLosses(base.evaluation, other.evaluation)) {
      return absl::OkStatus();
    }
  }
  if (trained == 0) return NotTried("no other value is accepted, or none can be made up");
  return Broken(absl::StrCat("neither outputs nor losses change at ", trained,
                             " other values: is it ignored? If it is to change nothing but time, "
                             "say --inert ",
                             name));
}

}  // namespace

void TryParameters(Trial& trial, const Trained& base) {
  const auto give_up = steady_clock::now() + kMostTime;
  std::vector<std::string> names;
  for (const auto& [name, value] : base.version.recipe().parameters().fields()) {
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name == runtime::kInitializeFrom) continue;  // What there is to start from is not known.
    trial.Check(absl::StrCat("parameter ", name, " makes another version, and has an effect"), [&] {
      return CheckParameter(trial, base, name, base.version.recipe().parameters().fields().at(name),
                            give_up);
    });
  }
}

void TryResolving(Trial& trial, const Trained& base) {
  const auto resolve = [&](const v1::Recipe& recipe) {
    v1::ResolveRecipeRequest request;
    request.set_model(trial.model().name());
    *request.mutable_recipe() = recipe;
    request.mutable_dataset()->set_uri(trial.options().dataset);
    return trial.Call(&Trial::Stub::ResolveRecipe, request);
  };
  trial.Check("ResolveRecipe gives what Train makes of a recipe", [&]() -> absl::Status {
    if (!trial.Can(v1::RESOLVE_RECIPE)) return NotTried("no capability RESOLVE_RECIPE");
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ResolveRecipeResponse resolved, resolve(trial.recipe()));
    const auto& expected = base.version.recipe().parameters().fields();
    const auto& fields = resolved.recipe().parameters().fields();
    bool same = fields.size() == expected.size();
    for (const auto& [name, value] : expected) {
      const auto found = fields.find(name);
      same = same && found != fields.end() &&
             found->second.SerializeAsString() == value.SerializeAsString();
    }
    return same ? absl::OkStatus() : Broken("its parameters are not those of the version");
  });
  trial.Check("ResolveRecipe refuses what Train refuses", [&]() -> absl::Status {
    if (!trial.Can(v1::RESOLVE_RECIPE)) return NotTried("no capability RESOLVE_RECIPE");
    v1::Recipe recipe = trial.recipe();
    (*recipe.mutable_parameters()->mutable_fields())["no_such_parameter"].set_number_value(1);
    return MustBe(absl::StatusCode::kInvalidArgument, resolve(recipe));
  });
}

}  // namespace backfire::conformance
