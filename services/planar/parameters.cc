#include "services/planar/parameters.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {

using google::protobuf::ListValue;
using google::protobuf::Value;

Value ToValue(const std::vector<double>& numbers) {
  Value value;
  value.mutable_list_value();
  for (const double number : numbers) {
    value.mutable_list_value()->add_values()->set_number_value(number);
  }
  return value;
}

Value ToValue(const std::vector<Position>& points) {
  Value value;
  value.mutable_list_value();
  for (const Position point : points) {
    *value.mutable_list_value()->add_values() = ToValue(std::vector<double>{point.x, point.y});
  }
  return value;
}

absl::StatusOr<double> ToNumber(const Value& value, const std::string& path) {
  if (value.kind_case() == Value::kNumberValue) return value.number_value();
  return absl::InvalidArgumentError(absl::StrCat(path, " must be a number"));
}

absl::StatusOr<Position> ToPosition(const Value& value, const std::string& path) {
  const ListValue& pair = value.list_value();
  if (pair.values_size() != 2 || !pair.values(0).has_number_value() ||
      !pair.values(1).has_number_value()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " must be [x, y]"));
  }
  return Position{pair.values(0).number_value(), pair.values(1).number_value()};
}

absl::StatusOr<std::vector<Position>> ToPoints(const Value& value, const std::string& path) {
  std::vector<Position> points;
  for (int i = 0; i < value.list_value().values_size(); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(points.emplace_back(), ToPosition(value.list_value().values(i),
                                                                absl::StrCat(path, "[", i, "]")));
  }
  return points;
}

const Value& Parameter(const v1::Recipe& recipe, const std::string& name) {
  return recipe.parameters().fields().at(name);
}

std::string ParameterPath(const std::string& name) {
  return absl::StrCat("recipe.parameters.", name);
}

void AddSampling(v1::Recipe& recipe) {
  runtime::Declare(recipe, "training_size", 0, {0, 1'000'000}, "",
                   "How many of the split's training examples are learnt from; 0: all.");
  runtime::Declare(recipe, "resample", "fixed", {"fixed", "fresh", "bootstrap"},
                   "Which of them: the first; a sample by the seed, without repetition; or with.");
  runtime::Declare(recipe, "label_noise", 0, {0, 0.5}, "",
                   "Chance that the label of a training example is flipped.");
}

bool SamplesBySeed(const v1::Recipe& recipe) {
  const auto& fields = recipe.parameters().fields();
  const auto resample = fields.find("resample");
  if (resample == fields.end()) return false;
  return resample->second.string_value() != "fixed" || fields.at("label_noise").number_value() > 0;
}

}  // namespace backfire::planar
