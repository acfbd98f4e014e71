#include "services/runtime/outputs/output_producer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/runtime/outputs/job_report.h"
#include "services/runtime/outputs/joined_examples.h"
#include "services/runtime/outputs/outputs_digest.h"
#include "services/runtime/outputs/predict_in_order.h"
#include "services/runtime/versions/load_predictor.h"

namespace backfire::runtime {
namespace {

// Outputs on other parents than the lineage's, or on something else of the same parents, are other
// outputs, and must never be mixed up.
std::string OutputIdentity(const OutputProducer::Wanted& wanted) {
  std::vector<v1::Parent> sorted = wanted.parents();
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  const auto committed = wanted.commitments.Of(sorted, wanted.split);
  const bool is_swapped = !wanted.swapped_parents.empty();
  if (!is_swapped && committed.empty()) return wanted.version.digest();
  Sha256 digest;
  digest.UpdateField(is_swapped ? "swapped" : "fed").UpdateField(wanted.version.digest());
  for (const v1::Parent& parent : sorted) {
    digest.UpdateField(parent.input()).UpdateField(parent.output()).UpdateField(parent.digest());
  }
  for (const v1::OutputsCommitment& commitment : committed) {
    digest.UpdateField(commitment.version_digest()).UpdateField(commitment.outputs_digest());
  }
  return digest.Finish();
}

// A service that commits has to have committed to what is evaluated or given to others.
absl::Status CheckCommitted(const OutputProducer::Wanted& wanted) {
  for (const v1::Parent& parent : wanted.parents()) {
    if (!wanted.commitments.Names(parent.digest()) ||
        wanted.commitments.Find(parent.digest(), wanted.split) != nullptr) {
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat("commitments must have one to ", parent.version(), " on split ",
                     std::string(SplitName(wanted.split)), ", as they have of its other splits"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHas(const Dataset& dataset, Split split) {
  if (dataset.Has(split)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("split: dataset ", dataset.uri(), " has no split ",
                                                 std::string(SplitName(split))));
}

std::vector<v1::Parent> OutputProducer::Wanted::parents() const {
  if (!swapped_parents.empty()) return swapped_parents;
  return {version.lineage().begin(), version.lineage().end()};
}

absl::StatusOr<std::shared_ptr<const Examples>> OutputProducer::Produce(const Wanted& wanted,
                                                                        JobContext& job,
                                                                        OutputTally& tally) const {
  BACKFIRE_RETURN_IF_ERROR(CheckCommitted(wanted));
  return outputs_.Get(
      {OutputKey::Keeper::kProducer, OutputIdentity(wanted), wanted.dataset->digest(),
       wanted.split},
      [&](ExampleFileWriter& writer) { return Predict(wanted, job, tally, writer); },
      [&job] { return job.cancelled(); }, &tally);
}

absl::Status OutputProducer::Predict(const Wanted& wanted, JobContext& job, OutputTally& tally,
                                     ExampleFileWriter& writer) const {
  const v1::Version& version = wanted.version;
  const Dataset& dataset = *wanted.dataset;
  const auto cancelled = [&job] { return job.cancelled(); };
  const std::string stage = absl::StrCat("predicting ", std::string(SplitName(wanted.split)));
  const int64_t size = dataset.size(wanted.split);
  const auto take = [&](int64_t example, const TensorMap& outputs) {
    job.Report(Stage(stage, example + 1, size));
    return writer.Append(outputs);
  };
  if (graph::IsUnservable(model_.description, version.recipe())) {
    BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
    BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions_.ReadWeights(id.number));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(*model_.model, version));
    job.Report(Stage(stage, 0, size));
    return PredictInOrder(
        size, threads_, cancelled,
        [&](int64_t example) {
          return model_.model->PredictFromDataset(recipe, weights, dataset, wanted.split, example);
        },
        take);
  }
  BACKFIRE_ASSIGN_OR_RETURN(const auto predictor, LoadPredictor(*model_.model, versions_, version));
  std::vector<std::string> names;
  for (const auto& input : model_.description.inputs()) names.push_back(input.name());
  const Feed feed{wanted.parents(), wanted.endpoints, wanted.commitments};
  BACKFIRE_ASSIGN_OR_RETURN(const auto gathered,
                            inputs_.Gather(names, feed, wanted.dataset, wanted.split, job, tally));
  const CheckedExamples inputs(model_.description.inputs(), gathered);
  job.Report(Stage(stage, 0, size));
  return PredictInOrder(
      size, threads_, cancelled,
      [&](int64_t example) -> absl::StatusOr<TensorMap> {
        BACKFIRE_ASSIGN_OR_RETURN(const TensorMap example_inputs, inputs.Get(example));
        return predictor->Predict(example_inputs, cancelled);
      },
      take);
}

absl::StatusOr<OutputProducer::Outputs> OutputProducer::Materialize(
    const v1::MaterializeRequest& request, JobContext& job) const {
  Wanted wanted;
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.version, versions_.Get(id.number));
  BACKFIRE_RETURN_IF_ERROR(CheckDigest(wanted.version, request.digest()));
  BACKFIRE_RETURN_IF_ERROR(CheckCommitments(request.commitments()));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.split, ParseSplit(request.split()));
  BACKFIRE_ASSIGN_OR_RETURN(
      wanted.dataset, model_.OpenDataset(request.dataset(), [&job] { return job.cancelled(); }));
  BACKFIRE_RETURN_IF_ERROR(CheckHas(*wanted.dataset, wanted.split));
  const int64_t size = wanted.dataset->size(wanted.split);
  for (const int64_t example : request.examples()) {
    if (example < 0 || example >= size) {
      return absl::InvalidArgumentError(
          absl::StrCat("examples must be in [0, ", size, "): got ", example));
    }
  }
  wanted.endpoints = request.endpoints();
  wanted.commitments = Commitments(request.commitments());
  OutputTally tally;
  Outputs outputs{wanted.dataset, wanted.split, nullptr};
  BACKFIRE_ASSIGN_OR_RETURN(outputs.examples, Produce(wanted, job, tally));
  return outputs;
}

absl::StatusOr<v1::OutputsCommitment> OutputProducer::Commit(const Wanted& wanted, JobContext& job,
                                                             OutputTally& tally) const {
  BACKFIRE_ASSIGN_OR_RETURN(const auto outputs, Produce(wanted, job, tally));
  v1::OutputsCommitment commitment;
  commitment.set_version(wanted.version.name());
  commitment.set_version_digest(wanted.version.digest());
  commitment.set_dataset_digest(wanted.dataset->digest());
  commitment.set_split(std::string(SplitName(wanted.split)));
  commitment.set_example_count(outputs->size());
  OutputsHasher hasher;
  for (int64_t example = 0; example < outputs->size(); ++example) {
    if (job.cancelled()) return absl::CancelledError("cancelled while committing to outputs");
    BACKFIRE_ASSIGN_OR_RETURN(TensorMap tensors, outputs->Get(example));
    // What is not in the signature is not given to anybody.
    TensorMap given;
    for (const v1::TensorSignature& output : model_.description.outputs()) {
      const auto found = tensors.find(output.name());
      if (found != tensors.end()) given[output.name()] = std::move(found->second);
    }
    hasher.Add(wanted.dataset->ExampleId(wanted.split, example),
               wanted.dataset->Cluster(wanted.split, example), given);
  }
  commitment.set_outputs_digest(hasher.Finish());
  return commitment;
}

}  // namespace backfire::runtime
