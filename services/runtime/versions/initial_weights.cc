#include "services/runtime/versions/initial_weights.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::runtime {

absl::StatusOr<std::optional<InitialWeights>> FindInitialWeights(const DescribedModel& model,
                                                                 const VersionStore& versions,
                                                                 const v1::Recipe& recipe) {
  const auto found = recipe.parameters().fields().find(kInitializeFrom);
  if (found == recipe.parameters().fields().end() || found->second.string_value().empty()) {
    return std::nullopt;
  }
  const std::string field = absl::StrCat("recipe.parameters.", kInitializeFrom);
  if (absl::string_view name = found->second.string_value();
      absl::ConsumePrefix(&name, kPretrained)) {
    absl::StatusOr<std::string> file = model.model->PretrainedFile(std::string(name));
    if (!file.ok()) return Annotate(file.status(), field);
    absl::StatusOr<std::string> weights = model.model->ImportWeights(recipe, *file);
    if (!weights.ok()) return Annotate(weights.status(), field);
    std::string digest = Sha256Hex(*weights);
    return InitialWeights{std::move(digest), [weights = *std::move(weights)] { return weights; }};
  }
  const absl::StatusOr<VersionId> id = ParseVersionName(found->second.string_value());
  if (!id.ok()) return Annotate(id.status(), field);
  if (id->model_name != model.description.name()) {
    return absl::InvalidArgumentError(absl::StrCat(field, " must be a version of ",
                                                   model.description.name(), ": got ",
                                                   found->second.string_value()));
  }
  const absl::StatusOr<v1::Version> version = versions.Get(id->number);
  if (!version.ok()) return Annotate(version.status(), field);
  return InitialWeights{version->digest(),
                        [&versions, number = id->number] { return versions.ReadWeights(number); }};
}

}  // namespace backfire::runtime
