#include "services/runtime/recipe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

using google::protobuf::Value;

std::string_view KindName(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return "a number";
    case Value::kStringValue:
      return "a text";
    case Value::kBoolValue:
      return "true or false";
    case Value::kListValue:
      return "a list";
    case Value::kStructValue:
      return "a mapping";
    default:
      return "null";
  }
}

v1::RecipeParameter& Describe(v1::Recipe& recipe, const std::string& name,
                              const std::string& description) {
  auto& described = *recipe.mutable_described();
  const auto before = std::find_if(described.begin(), described.end(),
                                   [&](const auto& other) { return other.name() >= name; });
  const auto at = static_cast<int>(before - described.begin());
  if (before == described.end() || before->name() != name) {
    described.Add();
    std::rotate(described.pointer_begin() + at, described.pointer_end() - 1,
                described.pointer_end());
  }
  v1::RecipeParameter& parameter = described[at];
  parameter.Clear();
  parameter.set_name(name);
  parameter.set_description(description);
  return parameter;
}

// Whether a value is what was declared; its type is its default's already.
absl::Status CheckDeclared(const v1::RecipeParameter& declared, const Value& value) {
  const std::string field = absl::StrCat("recipe.parameters.", declared.name());
  const double number = value.number_value();
  if (value.has_number_value() && !(number >= declared.minimum() && number <= declared.maximum()) &&
      declared.has_minimum() && declared.has_maximum()) {
    return absl::InvalidArgumentError(absl::StrCat(field, " must be in [", declared.minimum(), ", ",
                                                   declared.maximum(), "]: got ", number));
  }
  const auto& choices = declared.choices();
  if (choices.empty() ||
      std::find(choices.begin(), choices.end(), value.string_value()) != choices.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(field, " must be one of ",
                                                 absl::StrJoin(choices, ", "), ": got \"",
                                                 value.string_value(), "\""));
}

}  // namespace

absl::StatusOr<v1::Recipe> CompleteRecipe(const v1::Model& model, const v1::Recipe& recipe) {
  const v1::Recipe* defaults = nullptr;
  std::vector<std::string> names;
  for (const v1::Recipe& known : model.recipes()) {
    names.push_back(known.name());
    if (known.name() == recipe.name()) defaults = &known;
  }
  if (defaults == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("recipe.name: ", model.name(),
                                                   " has no recipe \"", recipe.name(),
                                                   "\"; it has ", absl::StrJoin(names, ", ")));
  }
  v1::Recipe complete = *defaults;
  auto& parameters = *complete.mutable_parameters()->mutable_fields();
  std::set<std::string> known;
  for (const auto& [name, value] : parameters) known.insert(name);
  std::set<std::string> given;
  for (const auto& [name, value] : recipe.parameters().fields()) given.insert(name);
  for (const std::string& name : given) {
    const Value& value = recipe.parameters().fields().at(name);
    if (known.count(name) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("recipe.parameters.", name, ": recipe \"", recipe.name(),
                       "\" has no such parameter; it has ", absl::StrJoin(known, ", ")));
    }
    if (value.kind_case() != parameters.at(name).kind_case()) {
      return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", name, " must be ",
                                                     std::string(KindName(parameters.at(name))),
                                                     ": got ", std::string(KindName(value))));
    }
    parameters[name] = value;
  }
  for (const v1::RecipeParameter& declared : complete.described()) {
    BACKFIRE_RETURN_IF_ERROR(CheckDeclared(declared, parameters.at(declared.name())));
  }
  complete.clear_described();  // What it means is the model's to say, and no part of a version.
  return complete;
}

void Declare(v1::Recipe& recipe, const std::string& name, double value, Range range,
             const std::string& unit, const std::string& description) {
  SetParameter(recipe, name, value);
  v1::RecipeParameter& parameter = Describe(recipe, name, description);
  parameter.set_unit(unit);
  parameter.set_minimum(range.low);
  parameter.set_maximum(range.high);
}

void Declare(v1::Recipe& recipe, const std::string& name, const std::string& value,
             const std::vector<std::string>& choices, const std::string& description) {
  SetParameter(recipe, name, value);
  Describe(recipe, name, description).mutable_choices()->Assign(choices.begin(), choices.end());
}

void Declare(v1::Recipe& recipe, const std::string& name, const Value& value,
             const std::string& description) {
  (*recipe.mutable_parameters()->mutable_fields())[name] = value;
  Describe(recipe, name, description);
}

void SetParameter(v1::Recipe& recipe, const std::string& name, double value) {
  (*recipe.mutable_parameters()->mutable_fields())[name].set_number_value(value);
}

void SetParameter(v1::Recipe& recipe, const std::string& name, const std::string& value) {
  (*recipe.mutable_parameters()->mutable_fields())[name].set_string_value(value);
}

double ParameterReader::Number(std::string_view name) {
  constexpr double kAny = std::numeric_limits<double>::max();
  return Number(name, -kAny, kAny);
}

int64_t ParameterReader::Integer(std::string_view name) {
  constexpr int64_t kExact = int64_t{1} << 53;  // Beyond, not every whole number is a double.
  return Integer(name, -kExact, kExact);
}

double ParameterReader::Number(std::string_view name, double low, double high) {
  const auto& fields = recipe_.parameters().fields();
  const auto found = fields.find(std::string(name));
  if (found == fields.end() || !found->second.has_number_value()) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", std::string(name),
                                                        " must be a number: it is missing"));
    }
    return low;
  }
  const double value = found->second.number_value();
  if (!(value >= low && value <= high)) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", std::string(name),
                                                        " must be in [", low, ", ", high, "]: got ",
                                                        value));
    }
    return low;
  }
  return value;
}

int64_t ParameterReader::Integer(std::string_view name, int64_t low, int64_t high) {
  const double value = Number(name, static_cast<double>(low), static_cast<double>(high));
  if (std::floor(value) != value && status_.ok()) {
    status_ = absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", std::string(name),
                                                      " must be a whole number: got ", value));
  }
  return static_cast<int64_t>(value);
}

std::string ParameterReader::Text(std::string_view name) {
  const auto& fields = recipe_.parameters().fields();
  const auto found = fields.find(std::string(name));
  if (found == fields.end() || !found->second.has_string_value()) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("recipe.parameters.", std::string(name), " must be a text: it is missing"));
    }
    return "";
  }
  return found->second.string_value();
}

}  // namespace backfire::runtime
