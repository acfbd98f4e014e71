#include "services/runtime/jobs/committer.h"

#include "services/base/status.h"
#include "services/runtime/outputs/job_report.h"

namespace backfire::runtime {

absl::Status Committer::Check(const v1::CommitOutputsRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_.Get(id.number));
  BACKFIRE_RETURN_IF_ERROR(CheckDigest(version, request.digest()));
  BACKFIRE_RETURN_IF_ERROR(Annotate(ParseSplit(request.split()).status(), "split"));
  if (request.dataset().uri().empty()) {
    return absl::InvalidArgumentError("dataset.uri must not be empty");
  }
  return CheckCommitments(request.commitments());
}

absl::Status Committer::Commit(const v1::CommitOutputsRequest& request, JobContext& job,
                               v1::Job& result) const {
  BACKFIRE_RETURN_IF_ERROR(Check(request));
  OutputProducer::Wanted wanted;
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.version, versions_.Get(id.number));
  BACKFIRE_ASSIGN_OR_RETURN(wanted.split, ParseSplit(request.split()));
  job.Report(Stage("opening the dataset"));
  BACKFIRE_ASSIGN_OR_RETURN(
      wanted.dataset, model_.OpenDataset(request.dataset(), [&job] { return job.cancelled(); }));
  BACKFIRE_RETURN_IF_ERROR(CheckHas(*wanted.dataset, wanted.split));
  wanted.endpoints = request.endpoints();
  wanted.commitments = Commitments(request.commitments());
  OutputTally tally;
  BACKFIRE_ASSIGN_OR_RETURN(*result.mutable_commitment(), outputs_.Commit(wanted, job, tally));
  *result.mutable_version() = wanted.version;
  SetTally(tally, result);
  return absl::OkStatus();
}

}  // namespace backfire::runtime
