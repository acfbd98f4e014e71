#include "services/runtime/jobs/trainer.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/exceptions.h"
#include "services/base/status.h"
#include "services/runtime/outputs/job_report.h"
#include "services/runtime/outputs/joined_examples.h"
#include "services/runtime/versions/initial_weights.h"
#include "services/runtime/versions/lineage.h"

namespace backfire::runtime {

absl::Status Trainer::Check(const v1::TrainRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, model_.model->ResolveRecipe(request.recipe()));
  BACKFIRE_RETURN_IF_ERROR(FindInitialWeights(model_, versions_, recipe).status());
  BACKFIRE_RETURN_IF_ERROR(CheckLineage(model_.description, request.lineage(), "lineage"));
  BACKFIRE_RETURN_IF_ERROR(CheckCommitments(request.commitments()));
  if (request.dataset().uri().empty()) {
    return absl::InvalidArgumentError("dataset.uri must not be empty");
  }
  if (request.seed() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("seed must be >= 0: got ", request.seed()));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Recipe> Trainer::Resolve(const v1::ResolveRecipeRequest& request,
                                            const std::function<bool()>& cancelled) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, model_.model->ResolveRecipe(request.recipe()));
  BACKFIRE_RETURN_IF_ERROR(FindInitialWeights(model_, versions_, recipe).status());
  if (request.has_dataset()) {
    const std::string& uri = request.dataset().uri();
    if (uri.empty()) return absl::InvalidArgumentError("dataset.uri must not be empty");
    const absl::Status opened = model_.OpenDataset(request.dataset(), cancelled).status();
    if (!opened.ok()) {
      return absl::StartsWith(opened.message(), "dataset") ? opened
                                                           : Annotate(opened, "dataset.uri");
    }
  }
  return recipe;
}

absl::Status Trainer::Train(const v1::TrainRequest& request, const TrainingFiles& files,
                            JobContext& job, v1::Job& result) const {
  BACKFIRE_RETURN_IF_ERROR(Check(request));
  job.Report(Stage("opening the dataset"));
  const Model& model = *model_.model;
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset, model_.OpenDataset(request.dataset(), [&job] {
    return job.cancelled();
  }));

  v1::Version version;
  BACKFIRE_ASSIGN_OR_RETURN(*version.mutable_recipe(), model.ResolveRecipe(request.recipe()));
  *version.mutable_lineage() = request.lineage();
  version.mutable_dataset()->set_uri(dataset->uri());
  version.mutable_dataset()->set_digest(dataset->digest());
  BACKFIRE_ASSIGN_OR_RETURN(const auto start_weights,
                            FindInitialWeights(model_, versions_, version.recipe()));
  if (start_weights.has_value()) version.set_initial_digest(start_weights->digest);
  version.set_seed(model.DependsOnSeed(version.recipe()) ? request.seed() : 0);
  version.set_build_fingerprint(model_.description.build_fingerprint());
  const Feed feed{{version.lineage().begin(), version.lineage().end()},
                  request.endpoints(),
                  Commitments(request.commitments())};
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kPopulation}) {
    for (v1::OutputsCommitment& commitment : feed.commitments.Of(feed.parents, split)) {
      *version.add_trained_on() = std::move(commitment);
    }
  }
  version.set_input_key(ComputeInputKey(model_.description.name(), version));
  if (const auto known = versions_.FindByInputKey(version.input_key()); known.has_value()) {
    *result.mutable_version() = *known;
    result.set_compute_seconds(-1);
    result.set_saved_seconds(known->training_seconds());
    return absl::OkStatus();
  }

  std::vector<std::string> fed_by_parents;
  for (const std::string& name : model.TrainingInputs(version.recipe())) {
    for (const v1::Parent& parent : version.lineage()) {
      if (parent.input() == name) fed_by_parents.push_back(name);
    }
  }
  const auto start = std::chrono::steady_clock::now();
  OutputTally tally;
  std::vector<v1::OutputsCommitment> observed;
  const auto gather = [&](Split split) {
    using Gathered = absl::StatusOr<std::shared_ptr<const Examples>>;
    return LazyExamples(dataset->Has(split) ? dataset->size(split) : 0, [&, split]() -> Gathered {
      BACKFIRE_ASSIGN_OR_RETURN(auto gathered, inputs_.Gather(fed_by_parents, feed, dataset, split,
                                                              job, tally, &observed));
      return std::make_shared<const CheckedExamples>(model_.description.inputs(),
                                                     std::move(gathered));
    });
  };
  const LazyExamples train_inputs = gather(Split::kTrain);
  const LazyExamples validation_inputs = gather(Split::kValidation);
  const LazyExamples population_inputs = gather(Split::kPopulation);
  TrainingTask task;
  task.recipe = version.recipe();
  task.seed = version.seed();
  task.dataset = dataset.get();
  task.train_inputs = &train_inputs;
  task.validation_inputs = &validation_inputs;
  task.population_inputs = &population_inputs;
  task.files = files;
  std::string initial_weights;
  if (start_weights.has_value()) {
    BACKFIRE_ASSIGN_OR_RETURN(initial_weights, start_weights->read());
    task.initial_weights = &initial_weights;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights,
                            CatchExceptions([&] { return model.Train(task, job); }));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  version.set_training_seconds(elapsed.count());
  // What nobody committed to decided the result as well: only who reads the same again is to get
  // this version for it.
  if (!observed.empty()) {
    for (v1::OutputsCommitment& pulled : observed) *version.add_trained_on() = std::move(pulled);
    version.set_input_key(ComputeInputKey(model_.description.name(), version));
  }
  BACKFIRE_ASSIGN_OR_RETURN(*result.mutable_version(), versions_.Add(version, weights));
  SetTally(tally, result);
  return absl::OkStatus();
}

}  // namespace backfire::runtime
