// The part of a host that lets weights in and out as files, and deletes them.
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/runtime/model_host.h"
#include "services/runtime/recipe.h"

namespace backfire::runtime {

absl::Status ModelHost::Check(const v1::ImportVersionRequest& description) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, model_->ResolveRecipe(description.recipe()));
  if (IsUnservable(recipe)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.name: \"", recipe.name(), "\" has no weights to import: train it instead"));
  }
  const auto initial = recipe.parameters().fields().find(kInitializeFrom);
  if (initial != recipe.parameters().fields().end() && !initial->second.string_value().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", kInitializeFrom,
                                                   " must be empty: what is imported is trained"));
  }
  return CheckLineage(description.lineage(), "lineage");
}

absl::StatusOr<v1::Version> ModelHost::Import(const v1::ImportVersionRequest& description,
                                              const std::string& file) {
  BACKFIRE_RETURN_IF_ERROR(Check(description));
  v1::Version version;
  BACKFIRE_ASSIGN_OR_RETURN(*version.mutable_recipe(), model_->ResolveRecipe(description.recipe()));
  *version.mutable_lineage() = description.lineage();
  std::string weights;
  {
    MutexLock importing(importing_);
    BACKFIRE_ASSIGN_OR_RETURN(weights, model_->ImportWeights(version.recipe(), file));
    // What can't be loaded later must not be kept now.
    BACKFIRE_RETURN_IF_ERROR(Annotate(model_->Load(version.recipe(), weights).status(),
                                      "the imported weights can't be loaded"));
  }
  version.set_build_fingerprint(description_.build_fingerprint());
  version.set_imported_digest(Sha256Hex(weights));
  version.set_input_key(ComputeInputKey(description_.name(), version));
  BACKFIRE_ASSIGN_OR_RETURN(version, versions_->Add(std::move(version), weights));
  spdlog::info("version state=IMPORTED version={} digest={}", version.name(), version.digest());
  return Get(ParseVersionName(version.name())->number);
}

absl::StatusOr<std::string> ModelHost::Export(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_->Get(number));
  if (IsUnservable(version.recipe())) {
    return absl::FailedPreconditionError(
        absl::StrCat(version.name(), " can't be exported: recipe \"", version.recipe().name(),
                     "\" has no weights"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions_->ReadWeights(number));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(version));
  absl::StatusOr<std::string> file = model_->ExportWeights(recipe, weights);
  if (!file.ok()) return Annotate(file.status(), version.name());
  return file;
}

absl::StatusOr<std::string> ModelHost::ExportAsStored(int64_t number) const {
  return versions_->ReadWeights(number);
}

absl::Status ModelHost::Delete(int64_t number) {
  MutexLock loading(loading_);
  {
    MutexLock lock(mutex_);
    if (loaded_.count(number) > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(VersionName(description_.name(), number), " is loaded: unload it first"));
    }
    test_losses_.erase(number);
  }
  return versions_->Delete(number);
}

}  // namespace backfire::runtime
