#include "orchestrator/execution/job_result.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::execution {
namespace {

absl::Status Broken(const std::string& field, const std::string& what) {
  return absl::FailedPreconditionError(
      absl::StrCat("the service's answer: ", field, " ", what,
                   "; `backfire conformance` finds what is wrong with the service"));
}

absl::Status CheckVersion(const std::string& model, const v1::Version& version) {
  const absl::StatusOr<runtime::VersionId> id = runtime::ParseVersionName(version.name());
  if (!id.ok() || id->model_name != model) {
    return Broken("version.name", absl::StrCat("must be ", model, "/versions/{number}: got \"",
                                               version.name(), "\""));
  }
  if (version.digest().empty()) return Broken("version.digest", "must not be empty");
  return absl::OkStatus();
}

absl::Status CheckLosses(const v1::EvaluateRequest& request, const v1::Evaluation& evaluation) {
  if (evaluation.losses().empty()) return Broken("evaluation.losses", "must not be empty");
  const bool resampled = request.split() == planning::kTestSplit;
  if (resampled && evaluation.example_count() < 1) {
    return Broken("evaluation.example_count",
                  absl::StrCat("must be at least 1: got ", evaluation.example_count()));
  }
  if (resampled &&
      (evaluation.cluster_count() < 0 || evaluation.cluster_count() > evaluation.example_count())) {
    return Broken("evaluation.cluster_count",
                  absl::StrCat("must be in [0, ", evaluation.example_count(), "]: got ",
                               evaluation.cluster_count()));
  }
  for (int i = 0; i < evaluation.losses_size(); ++i) {
    const v1::LossEstimate& loss = evaluation.losses(i);
    const std::string field = absl::StrCat("evaluation.losses[", i, "]");
    if (loss.loss().empty()) return Broken(absl::StrCat(field, ".loss"), "must not be empty");
    if (!resampled || !loss.judged()) continue;
    if (loss.resampled_size() != request.bootstrap().resample_count()) {
      return Broken(
          absl::StrCat(field, ".resampled"),
          absl::StrCat("of loss ", loss.loss(), " must have ", request.bootstrap().resample_count(),
                       " values, one per resample: got ", loss.resampled_size()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCommitment(const v1::CommitOutputsRequest& request,
                             const v1::OutputsCommitment& commitment) {
  const auto must_be = [](const std::string& field, const std::string& expected,
                          const std::string& got) {
    if (expected == got) return absl::OkStatus();
    return Broken("commitment." + field,
                  absl::StrCat("must be \"", expected, "\": got \"", got, "\""));
  };
  BACKFIRE_RETURN_IF_ERROR(must_be("version", request.version(), commitment.version()));
  BACKFIRE_RETURN_IF_ERROR(
      must_be("version_digest", request.digest(), commitment.version_digest()));
  BACKFIRE_RETURN_IF_ERROR(must_be("split", request.split(), commitment.split()));
  if (commitment.dataset_digest().empty()) {
    return Broken("commitment.dataset_digest", "must not be empty");
  }
  if (commitment.outputs_digest().size() != 64) {
    return Broken(
        "commitment.outputs_digest",
        absl::StrCat("must have 64 hexadecimal digits: got \"", commitment.outputs_digest(), "\""));
  }
  return absl::OkStatus();
}

// Whether what a job says that it was fed is what it was to be held to.
template <typename Parents, typename Commitments>
absl::Status CheckHeld(const std::string& field, const Parents& parents,
                       const Commitments& requested, const Commitments& held) {
  for (const v1::OutputsCommitment& commitment : requested) {
    const auto is_of = [&](const v1::Parent& parent) {
      return parent.digest() == commitment.version_digest();
    };
    if (std::none_of(parents.begin(), parents.end(), is_of)) continue;
    const bool is_held = std::any_of(held.begin(), held.end(), [&](const auto& one) {
      return one.version_digest() == commitment.version_digest() &&
             one.split() == commitment.split() &&
             one.outputs_digest() == commitment.outputs_digest();
    });
    if (is_held) continue;
    return Broken(field, absl::StrCat("must have the commitment to ", commitment.version(),
                                      " on split ", commitment.split(), " that it was given"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckJobResult(const planning::JobRequest& request, const v1::Job& job,
                            bool verifies) {
  if (const auto* train = std::get_if<v1::TrainRequest>(&request)) {
    if (!job.has_version()) return Broken("version", "is missing");
    BACKFIRE_RETURN_IF_ERROR(CheckVersion(train->model(), job.version()));
    if (!verifies) return absl::OkStatus();
    return CheckHeld("version.trained_on", train->lineage(), train->commitments(),
                     job.version().trained_on());
  }
  if (const auto* commit = std::get_if<v1::CommitOutputsRequest>(&request)) {
    if (!job.has_commitment()) return Broken("commitment", "is missing");
    return CheckCommitment(*commit, job.commitment());
  }
  if (!job.has_evaluation()) return Broken("evaluation", "is missing");
  const auto& evaluate = std::get<v1::EvaluateRequest>(request);
  BACKFIRE_RETURN_IF_ERROR(CheckLosses(evaluate, job.evaluation()));
  if (!verifies) return absl::OkStatus();
  const auto& parents =
      evaluate.swapped_parents().empty() ? job.version().lineage() : evaluate.swapped_parents();
  return CheckHeld("evaluation.commitments", parents, evaluate.commitments(),
                   job.evaluation().commitments());
}

}  // namespace backfire::execution
