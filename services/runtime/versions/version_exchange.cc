#include "services/runtime/versions/version_exchange.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/runtime/recipe.h"
#include "services/runtime/versions/lineage.h"
#include "services/runtime/versions/load_predictor.h"

namespace backfire::runtime {

absl::Status VersionExchange::Check(const v1::ImportVersionRequest& description) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe,
                            model_.model->ResolveRecipe(description.recipe()));
  if (graph::IsUnservable(model_.description, recipe)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.name: \"", recipe.name(), "\" has no weights to import: train it instead"));
  }
  const auto initial = recipe.parameters().fields().find(kInitializeFrom);
  if (initial != recipe.parameters().fields().end() && !initial->second.string_value().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", kInitializeFrom,
                                                   " must be empty: what is imported is trained"));
  }
  return CheckLineage(model_.description, description.lineage(), "lineage");
}

absl::StatusOr<v1::Version> VersionExchange::Import(const v1::ImportVersionRequest& description,
                                                    const std::string& file) {
  BACKFIRE_RETURN_IF_ERROR(Check(description));
  v1::Version version;
  BACKFIRE_ASSIGN_OR_RETURN(*version.mutable_recipe(),
                            model_.model->ResolveRecipe(description.recipe()));
  *version.mutable_lineage() = description.lineage();
  std::string weights;
  {
    MutexLock importing(importing_);
    BACKFIRE_ASSIGN_OR_RETURN(weights, model_.model->ImportWeights(version.recipe(), file));
    // What can't be loaded later must not be kept now.
    BACKFIRE_RETURN_IF_ERROR(Annotate(model_.model->Load(version.recipe(), weights).status(),
                                      "the imported weights can't be loaded"));
  }
  version.set_build_fingerprint(model_.description.build_fingerprint());
  version.set_imported_digest(Sha256Hex(weights));
  version.set_input_key(ComputeInputKey(model_.description.name(), version));
  BACKFIRE_ASSIGN_OR_RETURN(version, versions_.Add(std::move(version), weights));
  spdlog::info("version state=IMPORTED version={} digest={}", version.name(), version.digest());
  return version;
}

absl::StatusOr<std::string> VersionExchange::Export(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_.Get(number));
  if (graph::IsUnservable(model_.description, version.recipe())) {
    return absl::FailedPreconditionError(
        absl::StrCat(version.name(), " can't be exported: recipe \"", version.recipe().name(),
                     "\" has no weights"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions_.ReadWeights(number));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(*model_.model, version));
  absl::StatusOr<std::string> file = model_.model->ExportWeights(recipe, weights);
  if (!file.ok()) return Annotate(file.status(), version.name());
  return file;
}

absl::StatusOr<std::string> VersionExchange::ExportAsStored(int64_t number) const {
  return versions_.ReadWeights(number);
}

}  // namespace backfire::runtime
