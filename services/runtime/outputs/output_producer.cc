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
#include "services/runtime/outputs/predict_in_order.h"
#include "services/runtime/versions/load_predictor.h"

namespace backfire::runtime {
namespace {

// Outputs on other parents than the lineage's are other outputs, and must never be mixed up.
std::string OutputIdentity(const v1::Version& version,
                           const std::vector<v1::Parent>& swapped_parents) {
  if (swapped_parents.empty()) return version.digest();
  std::vector<v1::Parent> sorted = swapped_parents;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  Sha256 digest;
  digest.UpdateField("swapped").UpdateField(version.digest());
  for (const v1::Parent& parent : sorted) {
    digest.UpdateField(parent.input()).UpdateField(parent.output()).UpdateField(parent.digest());
  }
  return digest.Finish();
}

}  // namespace

absl::Status CheckHas(const Dataset& dataset, Split split) {
  if (dataset.Has(split)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("split: dataset ", dataset.uri(), " has no split ",
                                                 std::string(SplitName(split))));
}

absl::StatusOr<std::shared_ptr<const Examples>> OutputProducer::Produce(const Wanted& wanted,
                                                                        JobContext& job,
                                                                        OutputTally& tally) const {
  return outputs_.Get(
      {OutputKey::Keeper::kProducer, OutputIdentity(wanted.version, wanted.swapped_parents),
       wanted.dataset->digest(), wanted.split},
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
  Feed feed{wanted.swapped_parents, wanted.endpoints};
  if (feed.parents.empty()) feed.parents.assign(version.lineage().begin(), version.lineage().end());
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
  if (!request.digest().empty() && request.digest() != wanted.version.digest()) {
    return absl::DataLossError(absl::StrCat(wanted.version.name(), " has digest ",
                                            wanted.version.digest(), ": the caller expects ",
                                            request.digest()));
  }
  BACKFIRE_ASSIGN_OR_RETURN(wanted.split, ParseSplit(request.split()));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.dataset, model_.model->OpenDataset(request.dataset().uri()));
  BACKFIRE_RETURN_IF_ERROR(CheckHas(*wanted.dataset, wanted.split));
  const int64_t size = wanted.dataset->size(wanted.split);
  for (const int64_t example : request.examples()) {
    if (example < 0 || example >= size) {
      return absl::InvalidArgumentError(
          absl::StrCat("examples must be in [0, ", size, "): got ", example));
    }
  }
  wanted.endpoints = request.endpoints();
  OutputTally tally;
  Outputs outputs{wanted.dataset, wanted.split, nullptr};
  BACKFIRE_ASSIGN_OR_RETURN(outputs.examples, Produce(wanted, job, tally));
  return outputs;
}

}  // namespace backfire::runtime
