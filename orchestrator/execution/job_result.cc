#include "orchestrator/execution/job_result.h"

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

}  // namespace

absl::Status CheckJobResult(const planning::JobRequest& request, const v1::Job& job) {
  if (const auto* train = std::get_if<v1::TrainRequest>(&request)) {
    if (!job.has_version()) return Broken("version", "is missing");
    return CheckVersion(train->model(), job.version());
  }
  if (!job.has_evaluation()) return Broken("evaluation", "is missing");
  return CheckLosses(std::get<v1::EvaluateRequest>(request), job.evaluation());
}

}  // namespace backfire::execution
