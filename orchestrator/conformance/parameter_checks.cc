// Every parameter of the recipe by itself: another value makes another version, and something else.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

using google::protobuf::Value;
using std::chrono::steady_clock;

// For all parameters together: a recipe may have dozens, and take a while to learn.
constexpr std::chrono::minutes kMostTime(3);
// Of a parameter that is to change nothing: enough to find one that does.
constexpr int kInertValues = 3;
// Names a version or weights to start from; which there are is not known here.
constexpr char kInitializeFrom[] = "initialize_from";
// By these names everyone means how something is computed, not what.
const std::set<std::string>& UsuallyInert() {
  static const auto* names =
      new std::set<std::string>{"device", "jobs", "n_jobs", "threads", "verbose", "workers"};
  return *names;
}

const v1::RecipeParameter* Find(const v1::Recipe& recipe, const std::string& name) {
  for (const v1::RecipeParameter& parameter : recipe.described()) {
    if (parameter.name() == name) return &parameter;
  }
  return nullptr;
}

// Values to try in place of one, those first that surely change something without taking long.
// @param with_most  Whether the greatest is among them, which may take long.
std::vector<Value> OtherValues(const Value& usual, const v1::RecipeParameter* described,
                               bool with_most) {
  std::vector<Value> values;
  if (usual.has_bool_value()) {
    values.emplace_back().set_bool_value(!usual.bool_value());
  } else if (usual.has_string_value() && described != nullptr) {
    for (const std::string& choice : described->choices()) {
      if (choice != usual.string_value()) values.emplace_back().set_string_value(choice);
    }
  } else if (usual.has_number_value()) {
    const double is = usual.number_value();
    const double least =
        described != nullptr && described->has_minimum() ? described->minimum() : 1;
    const double most =
        described != nullptr && described->has_maximum() ? described->maximum() : is * 100;
    for (const double value : {is * 2, is + 1, std::floor(is / 2), is / 2, least, 0.0, is * 10,
                               is - 1, 0.25, with_most ? most : is}) {
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

// Parameters of a recipe, each tried by itself, and beside others where it seems to do nothing.
class Parameters {
 public:
  Parameters(Trial& trial, const Trained& base) : trial_(trial), base_(base) {
    for (const auto& [name, value] : base.version.recipe().parameters().fields()) {
      if (name != kInitializeFrom) usual_[name] = value;
    }
  }

  const std::map<std::string, Value>& usual() const { return usual_; }

  absl::Status Check(const std::string& name) {
    const bool is_said = IsSaid(name);
    int accepted = 0;
    for (const Value& value : Others(name, /*with_most=*/true)) {
      if (steady_clock::now() > give_up_) return NotTried("it takes too long");
      const absl::StatusOr<v1::Version> version = Train({{name, value}});
      if (!version.ok()) continue;  // Out of range, or unable to learn like that.
      ++accepted;
      const std::string what = absl::StrCat(name, " = ", Text(value));
      BACKFIRE_RETURN_IF_ERROR(MustDiffer(base_.version, *version, what));
      const auto& fields = version->recipe().parameters().fields();
      const auto kept = fields.find(name);
      if (kept == fields.end() || kept->second.SerializeAsString() != value.SerializeAsString()) {
        return Broken(absl::StrCat("the version's recipe must have ", what));
      }
      if (!is_said && UsuallyInert().count(name) > 0) return absl::OkStatus();
      BACKFIRE_ASSIGN_OR_RETURN(const Trained other, trial_.Look(*version));
      if (is_said) {
        BACKFIRE_RETURN_IF_ERROR(MustSaySame(other, name, what));
        if (accepted == kInertValues) return absl::OkStatus();
      } else if (!Same(base_, other)) {
        return absl::OkStatus();
      }
    }
    if (accepted == 0) return NotTried("no other value is accepted, or none can be made up");
    return is_said ? absl::OkStatus() : CheckBesideOthers(name, accepted);
  }

  /// Whether the user says that it changes nothing.
  bool IsSaid(const std::string& name) const { return trial_.options().inert.count(name) > 0; }

 private:
  // Of a parameter that was said to change nothing, at another value.
  absl::Status MustSaySame(const Trained& other, const std::string& name,
                           const std::string& what) const {
    if (trial_.options().unrepeatable || SaySame(base_, other)) return absl::OkStatus();
    return Broken(absl::StrCat("--inert says that it changes nothing, and with ", what,
                               " outputs or losses are others than with ", Text(usual_.at(name)),
                               ". If they are to be, leave out --inert ", name));
  }

  static bool Same(const Trained& a, const Trained& b) {
    return SameOutputs(a.outputs, b.outputs) && SameLosses(a.evaluation, b.evaluation);
  }

  std::vector<Value> Others(const std::string& name, bool with_most = false) const {
    return OtherValues(usual_.at(name), Find(*trial_.described_recipe(), name), with_most);
  }

  absl::StatusOr<v1::Version> Train(const std::map<std::string, Value>& values) {
    v1::TrainRequest request = trial_.TrainRequest();
    for (const auto& [name, value] : values) {
      (*request.mutable_recipe()->mutable_parameters()->mutable_fields())[name] = value;
    }
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial_.Train(request));
    return job.version();
  }

  // Some parameters do nothing unless another has a certain value.
  absl::Status CheckBesideOthers(const std::string& name, int accepted) {
    bool all_known = true;
    for (const auto& [beside, usual] : usual_) {
      if (beside == name) continue;
      const std::vector<Value> others = Others(beside);
      all_known = all_known && !others.empty();
      for (const Value& other : others) {
        if (steady_clock::now() > give_up_) return NotTried("it takes too long");
        const absl::StatusOr<v1::Version> without = Train({{beside, other}});
        if (!without.ok()) continue;
        BACKFIRE_ASSIGN_OR_RETURN(const Trained reference, trial_.Look(*without));
        for (const Value& value : Others(name)) {
          const absl::StatusOr<v1::Version> with = Train({{beside, other}, {name, value}});
          if (!with.ok()) continue;
          BACKFIRE_ASSIGN_OR_RETURN(const Trained both, trial_.Look(*with));
          if (!Same(reference, both)) return absl::OkStatus();
        }
      }
    }
    const std::string nothing = absl::StrCat("neither outputs nor losses change at ", accepted,
                                             accepted == 1 ? " other value" : " other values");
    if (!all_known) return NotTried(nothing + ", unless another parameter has a certain value");
    return Broken(absl::StrCat(nothing,
                               ", nor beside other values of other parameters: is it "
                               "ignored? If that is right, for it changes time alone, or what "
                               "there is none of here, say --inert ",
                               name));
  }

  Trial& trial_;
  const Trained& base_;
  const steady_clock::time_point give_up_ = steady_clock::now() + kMostTime;
  std::map<std::string, Value> usual_;
};

}  // namespace

void TryParameters(Trial& trial, const Trained& base) {
  Parameters parameters(trial, base);
  for (const auto& [name, value] : parameters.usual()) {
    trial.Check(absl::StrCat("parameter ", name, " makes another version, and ",
                             parameters.IsSaid(name) ? "changes nothing" : "has an effect"),
                [&, which = name] { return parameters.Check(which); });
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
