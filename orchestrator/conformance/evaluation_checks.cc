#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

absl::Status CheckLosses(const v1::Model& model, const v1::Evaluation& evaluation, int resamples) {
  if (evaluation.losses_size() < model.losses_size()) return Broken("some are missing");
  for (int i = 0; i < model.losses_size(); ++i) {
    const v1::LossEstimate& loss = evaluation.losses(i);
    const v1::JudgedLoss& judged = model.losses(i);
    if (loss.loss() != judged.name() || !loss.slice().empty() || !loss.judged()) {
      return Broken(absl::StrCat("losses[", i, "] must be ", judged.name(),
                                 ", over all examples, judged: got ", loss.loss()));
    }
    const auto fits = [&](double value) {
      return std::isfinite(value) && value >= judged.minimum() && value <= judged.maximum();
    };
    const std::string range =
        absl::StrCat("a number in [", judged.minimum(), ", ", judged.maximum(), "]: got ");
    if (!fits(loss.value())) {
      return Broken(absl::StrCat("losses[", i, "].value must be ", range, loss.value()));
    }
    int undefined = 0;
    for (int b = 0; b < loss.resampled_size(); ++b) {
      undefined += std::isnan(loss.resampled(b)) ? 1 : 0;
      if (std::isnan(loss.resampled(b)) || fits(loss.resampled(b))) continue;
      return Broken(
          absl::StrCat("losses[", i, "].resampled[", b, "] must be ", range, loss.resampled(b)));
    }
    if (loss.resampled_size() > 0 && undefined == loss.resampled_size()) {
      return Broken(
          absl::StrCat("losses[", i, "].resampled is NaN throughout, and value is ", loss.value()));
    }
  }
  for (const v1::LossEstimate& loss : evaluation.losses()) {
    if (loss.resampled_size() == resamples) continue;
    return Broken(absl::StrCat("loss ", loss.loss(), " of slice \"", loss.slice(), "\" must have ",
                               resamples, " values in `resampled`: it has ",
                               loss.resampled_size()));
  }
  return absl::OkStatus();
}

}  // namespace

void TryEvaluation(Trial& trial, const Trained& base) {
  trial.Check("judged losses come first, as the model lists them, each with its resamples", [&] {
    return CheckLosses(trial.model(), base.evaluation,
                       trial.EvaluateRequest(base.version).bootstrap().resample_count());
  });
  trial.Check(
      "an evaluation says of how many examples, and of which dataset", [&]() -> absl::Status {
        if (base.evaluation.example_count() != static_cast<int64_t>(base.outputs.size())) {
          return Broken(absl::StrCat("example_count must be ", base.outputs.size(),
                                     ", as many as Materialize gives: got ",
                                     base.evaluation.example_count()));
        }
        if (base.evaluation.dataset_digest() != base.version.dataset().digest()) {
          return Broken("dataset_digest must be the dataset's, which the version was trained on");
        }
        return absl::OkStatus();
      });
  trial.Check("evaluating again gives the same numbers, bit for bit", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job,
                              trial.Evaluate(trial.EvaluateRequest(base.version)));
    return SameLosses(job.evaluation(), base.evaluation) ? absl::OkStatus() : Broken("they differ");
  });
  trial.Check("another split is evaluated on its own examples", [&]() -> absl::Status {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.set_split("train");
    v1::MaterializeRequest outputs = trial.MaterializeRequest(base.version);
    outputs.set_split("train");
    BACKFIRE_ASSIGN_OR_RETURN(const Outputs given,
                              trial.Fit([&] { return trial.Materialize(outputs); }));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Evaluate(request));
    if (job.evaluation().example_count() != static_cast<int64_t>(given.size())) {
      return Broken(absl::StrCat("on the split train it must have ", given.size(),
                                 " examples, as Materialize: got ",
                                 job.evaluation().example_count()));
    }
    if (!trial.is_fed() || !SameLosses(job.evaluation(), base.evaluation)) return absl::OkStatus();
    // So it may be where splits have the same examples, or no loss depends on what parents give.
    request = trial.EvaluateRequest(base.version);
    const std::vector<v1::Parent> others = trial.parents().Lineage(Conduct::kOther);
    request.mutable_swapped_parents()->Assign(others.begin(), others.end());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job by_others, trial.Evaluate(request));
    return SameLosses(by_others.evaluation(), base.evaluation)
               ? NotTried("no loss depends on what its parents give")
               : Broken("losses on the split train are those of the split test");
  });
  trial.Check("a request_id with other arguments is ALREADY_EXISTS, for evaluations too",
              [&]() -> absl::Status {
                v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
                BACKFIRE_RETURN_IF_ERROR(trial.Evaluate(request).status());
                request.set_split("train");
                return MustBe(absl::StatusCode::kAlreadyExists, trial.Evaluate(request));
              });
  trial.Check("evaluating a version with another digest than expected is DATA_LOSS", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.set_digest(std::string(64, '0'));
    return MustBe(absl::StatusCode::kDataLoss, trial.Evaluate(request));
  });
  trial.Check("an unknown version is NOT_FOUND", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.set_version(absl::StrCat(trial.model().name(), "/versions/999999999"));
    return MustBe(absl::StatusCode::kNotFound, trial.Evaluate(request));
  });
  trial.Check("an unknown split is INVALID_ARGUMENT", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.set_split("no-such-split");
    return MustBe(absl::StatusCode::kInvalidArgument, trial.Evaluate(request));
  });
}

}  // namespace backfire::conformance
