#include "services/runtime/hosted_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {

absl::StatusOr<std::unique_ptr<HostedModel>> HostedModel::Open(const Options& options,
                                                               std::unique_ptr<Model> model,
                                                               OutputStore& outputs,
                                                               ChannelPool& channels) {
  BACKFIRE_ASSIGN_OR_RETURN(auto versions, VersionStore::Open(options.directory / "versions",
                                                              model->description().name()));
  std::unique_ptr<HostedModel> hosted(
      new HostedModel(options, std::move(model), std::move(versions), outputs, channels));
  const ServedVersions::Options served{options.directory, options.threads, options.batch,
                                       options.primary};
  BACKFIRE_ASSIGN_OR_RETURN(hosted->served_,
                            ServedVersions::Open(served, hosted->model_, *hosted->versions_));
  return hosted;
}

absl::StatusOr<HostedModel*> FindModel(const HostedModels& models, const std::string& name) {
  const auto found = models.find(std::string(absl::StripPrefix(name, "models/")));
  if (found != models.end()) return found->second.get();
  return absl::NotFoundError(absl::StrCat(
      name.empty() ? "a model must be named"
                   : absl::StrCat("there is no model \"", name, "\" here"),
      "; there are ", absl::StrJoin(models, ", ", [](std::string* out, const auto& model) {
        absl::StrAppend(out, model.second->description().name());
      })));
}

absl::StatusOr<v1::Version> NamedVersion::Get() const {
  BACKFIRE_ASSIGN_OR_RETURN(v1::Version version, model->versions().Get(number));
  version.set_loaded(model->served().IsLoaded(number));
  return version;
}

absl::StatusOr<NamedVersion> FindVersion(const HostedModels& models, const std::string& name) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(name));
  BACKFIRE_ASSIGN_OR_RETURN(HostedModel * model, FindModel(models, id.model_name));
  return NamedVersion{model, id.number};
}

JobRunner::Execute ExecuteOn(const HostedModels& models) {
  return [&models](const JobRequest& request, const JobRunner::Directories& directories,
                   JobContext& context, v1::Job& result) -> absl::Status {
    if (const auto* train = std::get_if<v1::TrainRequest>(&request)) {
      BACKFIRE_ASSIGN_OR_RETURN(const HostedModel* model, FindModel(models, train->model()));
      return model->trainer().Train(
          *train, {directories.scratch / "checkpoint", directories.kept / "last_good_weights.pth"},
          context, result);
    }
    if (const auto* evaluate = std::get_if<v1::EvaluateRequest>(&request)) {
      BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models, evaluate->version()));
      return named.model->evaluator().Evaluate(*evaluate, context, result);
    }
    const auto& commit = std::get<v1::CommitOutputsRequest>(request);
    BACKFIRE_ASSIGN_OR_RETURN(const NamedVersion named, FindVersion(models, commit.version()));
    return named.model->committer().Commit(commit, context, result);
  };
}

}  // namespace backfire::runtime
