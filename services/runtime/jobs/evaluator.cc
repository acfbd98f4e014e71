#include "services/runtime/jobs/evaluator.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/runtime/outputs/job_report.h"
#include "services/runtime/versions/lineage.h"

namespace backfire::runtime {

absl::Status Evaluator::Check(const v1::EvaluateRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_.Get(id.number));
  BACKFIRE_RETURN_IF_ERROR(Annotate(ParseSplit(request.split()).status(), "split"));
  if (request.dataset().uri().empty()) {
    return absl::InvalidArgumentError("dataset.uri must not be empty");
  }
  const int32_t resamples = request.bootstrap().resample_count();
  if (resamples < 0 || resamples > 10000) {
    return absl::InvalidArgumentError(
        absl::StrCat("bootstrap.resample_count must be in [0, 10000]: got ", resamples));
  }
  BACKFIRE_RETURN_IF_ERROR(CheckDigest(version, request.digest()));
  BACKFIRE_RETURN_IF_ERROR(CheckCommitments(request.commitments()));
  BACKFIRE_RETURN_IF_ERROR(
      CheckLineage(model_.description, request.swapped_parents(), "swapped_parents"));
  if (request.swapped_parents().empty()) return absl::OkStatus();
  std::set<std::string> of_lineage, swapped;
  for (const v1::Parent& parent : version.lineage()) of_lineage.insert(parent.input());
  for (const v1::Parent& parent : request.swapped_parents()) swapped.insert(parent.input());
  if (of_lineage != swapped) {
    return absl::InvalidArgumentError(
        absl::StrCat("swapped_parents must feed the inputs of the lineage (",
                     absl::StrJoin(of_lineage, ", "), "): got ", absl::StrJoin(swapped, ", ")));
  }
  return absl::OkStatus();
}

absl::Status Evaluator::Evaluate(const v1::EvaluateRequest& request, JobContext& job,
                                 v1::Job& result) {
  BACKFIRE_RETURN_IF_ERROR(Check(request));
  OutputProducer::Wanted wanted;
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.version, versions_.Get(id.number));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.split, ParseSplit(request.split()));
  job.Report(Stage("opening the dataset"));
  BACKFIRE_ASSIGN_OR_RETURN(
      wanted.dataset, model_.OpenDataset(request.dataset(), [&job] { return job.cancelled(); }));
  const Dataset& dataset = *wanted.dataset;
  BACKFIRE_RETURN_IF_ERROR(CheckHas(dataset, wanted.split));
  wanted.swapped_parents.assign(request.swapped_parents().begin(), request.swapped_parents().end());
  wanted.endpoints = request.endpoints();
  wanted.commitments = Commitments(request.commitments());
  OutputTally tally;
  BACKFIRE_ASSIGN_OR_RETURN(const auto outputs, outputs_.Produce(wanted, job, tally));
  job.Report(Stage("computing losses"));
  const metrics::Resampling resampling(request.bootstrap(), Clusters(dataset, wanted.split));
  BACKFIRE_ASSIGN_OR_RETURN(
      v1::Evaluation evaluation,
      model_.model->Evaluate(dataset, wanted.split, *outputs, resampling, job));
  evaluation.set_example_count(resampling.example_count());
  evaluation.set_cluster_count(resampling.cluster_count());
  evaluation.set_dataset_digest(dataset.digest());
  for (v1::OutputsCommitment& commitment : wanted.commitments.Of(wanted.parents(), wanted.split)) {
    *evaluation.add_commitments() = std::move(commitment);
  }
  if (wanted.split == Split::kTest && request.swapped_parents().empty()) {
    std::vector<v1::LossEstimate> losses(evaluation.losses().begin(), evaluation.losses().end());
    for (v1::LossEstimate& loss : losses) loss.clear_resampled();
    MutexLock lock(mutex_);
    test_losses_[id.number] = std::move(losses);
  }
  *result.mutable_version() = wanted.version;
  *result.mutable_evaluation() = std::move(evaluation);
  SetTally(tally, result);
  return absl::OkStatus();
}

std::vector<v1::LossEstimate> Evaluator::TestLosses(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = test_losses_.find(number);
  return found == test_losses_.end() ? std::vector<v1::LossEstimate>() : found->second;
}

void Evaluator::Forget(int64_t number) {
  MutexLock lock(mutex_);
  test_losses_.erase(number);
}

}  // namespace backfire::runtime
