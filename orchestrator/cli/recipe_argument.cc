#include "orchestrator/cli/recipe_argument.h"

#include <cmath>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/yaml/yaml_message.h"

namespace backfire::cli {
namespace {

absl::StatusOr<google::protobuf::Value> ParseValue(const std::string& key,
                                                   const std::string& text) {
  google::protobuf::Value value;
  if (!text.empty() && absl::StrContains("[{\"", text[0])) {
    google::protobuf::Struct parsed;
    BACKFIRE_RETURN_IF_ERROR(
        ParseYaml(absl::StrCat("value: ", text), absl::StrCat("--set ", key), parsed));
    return parsed.fields().at("value");
  }
  double number = 0;
  // SimpleAtod also takes `inf` and `nan`, which JSON has not.
  if (!text.empty() && (absl::ascii_isdigit(text[0]) || text[0] == '-') &&
      absl::SimpleAtod(text, &number) && std::isfinite(number)) {
    value.set_number_value(number);
  } else if (text == "true" || text == "false") {
    value.set_bool_value(text == "true");
  } else {
    value.set_string_value(text);
  }
  return value;
}

}  // namespace

absl::StatusOr<v1::Recipe> MakeRecipe(const std::string& name,
                                      const std::vector<std::string>& assignments) {
  v1::Recipe recipe;
  recipe.set_name(name);
  auto& fields = *recipe.mutable_parameters()->mutable_fields();
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set: must be NAME=VALUE: got \"", assignment, "\""));
    }
    const std::string key = assignment.substr(0, equals);
    if (fields.contains(key)) {
      return absl::InvalidArgumentError(absl::StrCat("--set: \"", key, "\" is given twice"));
    }
    BACKFIRE_ASSIGN_OR_RETURN(fields[key], ParseValue(key, assignment.substr(equals + 1)));
  }
  return recipe;
}

std::string ProposalId(const std::string& vertex, const v1::Recipe& recipe, int replicates,
                       int looks, const std::string& context, int attempt) {
  Sha256 digest;
  digest.UpdateField(vertex).UpdateField(recipe.name());
  const auto& fields = recipe.parameters().fields();
  for (const auto& [key, value] :
       std::map<std::string, google::protobuf::Value>(fields.begin(), fields.end())) {
    digest.UpdateField(key).UpdateField(value.SerializeAsString());
  }
  digest.UpdateField(absl::StrCat(replicates))
      .UpdateField(absl::StrCat(looks))
      .UpdateField(context)
      .UpdateField(absl::StrCat(attempt));
  return absl::StrCat("cli-", digest.Finish().substr(0, 24));
}

}  // namespace backfire::cli
