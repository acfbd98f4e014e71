#include "orchestrator/report/recipe_report.h"

#include <google/protobuf/util/json_util.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {
namespace {

// A protobuf map has no order.
std::map<std::string, std::string> Parameters(const v1::Recipe& recipe) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : recipe.parameters().fields()) sorted[name] = ValueText(value);
  return sorted;
}

// What a parameter may be: `0 to 0.5 m`, `fixed, fresh`; empty: whatever is of its type.
std::string AllowedText(const v1::RecipeParameter& parameter) {
  if (!parameter.choices().empty()) return absl::StrJoin(parameter.choices(), ", ");
  const std::string unit = parameter.unit().empty() ? "" : absl::StrCat(" ", parameter.unit());
  if (parameter.has_minimum() && parameter.has_maximum()) {
    return absl::StrCat(parameter.minimum(), " to ", parameter.maximum(), unit);
  }
  if (parameter.has_minimum()) return absl::StrCat(">= ", parameter.minimum(), unit);
  if (parameter.has_maximum()) return absl::StrCat("<= ", parameter.maximum(), unit);
  return parameter.unit();
}

v1::RecipeParameter DescribedAs(const v1::Recipe& recipe, const std::string& name) {
  for (const v1::RecipeParameter& parameter : recipe.described()) {
    if (parameter.name() == name) return parameter;
  }
  return v1::RecipeParameter();
}

}  // namespace

std::string ValueText(const google::protobuf::Value& value) {
  if (value.kind_case() == google::protobuf::Value::kStringValue) return value.string_value();
  std::string json;
  // Every Value has a JSON form, NaN apart, which no recipe accepts.
  return google::protobuf::util::MessageToJsonString(value, &json).ok() ? json : "?";
}

std::string RecipeText(const v1::Recipe& recipe) {
  const std::map<std::string, std::string> parameters = Parameters(recipe);
  if (parameters.empty()) return recipe.name();
  return absl::StrCat(recipe.name(), " (",
                      absl::StrJoin(parameters, ", ", absl::PairFormatter("=")), ")");
}

std::string RecipesText(const v1::GetSystemResponse& system, const std::string& vertex) {
  std::string text;
  for (const v1::Vertex& one : system.system().vertices()) {
    if (!vertex.empty() && one.name() != vertex) continue;
    const auto model = system.models().find(one.name());
    if (model == system.models().end()) continue;
    absl::StrAppend(&text, text.empty() ? "" : "\n", one.name(), " (", model->second.name(),
                    "): ", model->second.description(), "\n");
    for (const v1::Recipe& recipe : model->second.recipes()) {
      absl::StrAppend(&text, "\n  ", recipe.name(),
                      recipe.unservable() ? "  (can be evaluated, not served)" : "", "\n");
      TextTable table({{"parameter"}, {"default"}, {"allowed"}, {"meaning"}});
      for (const auto& [name, value] : Parameters(recipe)) {
        const v1::RecipeParameter described = DescribedAs(recipe, name);
        table.AddRow({name, value.empty() ? "\"\"" : value, AllowedText(described),
                      described.description()});
      }
      const std::string rows = table.ToString(4);
      // Its headings would come again with every recipe.
      if (!rows.empty()) absl::StrAppend(&text, rows.substr(rows.find('\n') + 1));
    }
  }
  return text;
}

}  // namespace backfire::report
