#include <string>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {

namespace {

// Whether a service states what it gives, and does not take what others did not state.
void TryCommitments(Trial& trial, const Trained& base) {
  if (!trial.Can(v1::COMMIT_OUTPUTS)) return;
  v1::OutputsCommitment stated;
  trial.Check("CommitOutputs states what Materialize gives", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Commit(trial.CommitRequest(base.version)));
    stated = job.commitment();
    const std::string given = OutputsDigest(base.outputs);
    if (stated.version() != base.version.name() ||
        stated.version_digest() != base.version.digest() || stated.split() != "test") {
      return Broken(absl::StrCat("commitment must be to ", base.version.name(), " with digest ",
                                 base.version.digest(), " on test: got ", stated.version(),
                                 " with ", stated.version_digest(), " on ", stated.split()));
    }
    if (stated.outputs_digest() == given) return absl::OkStatus();
    return Broken(absl::StrCat("commitment.outputs_digest must be ", given, ": got ",
                               stated.outputs_digest()));
  });
  if (!trial.is_fed() || stated.dataset_digest().empty()) return;
  // A service that reads a dataset itself has parents that read the same.
  trial.parents().SetDatasetDigest(stated.dataset_digest());
  trial.Check("a parent that gives other outputs than were stated is DATA_LOSS", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    for (const v1::Parent& parent : base.version.lineage()) {
      v1::OutputsCommitment& commitment = *request.add_commitments();
      commitment.set_version(parent.version());
      commitment.set_version_digest(parent.digest());
      commitment.set_dataset_digest(stated.dataset_digest());
      commitment.set_split("test");
      commitment.set_outputs_digest(std::string(64, '1'));
    }
    return MustBe(absl::StatusCode::kDataLoss, trial.Evaluate(request));
  });
}

}  // namespace

void TryOutputs(Trial& trial, const Trained& base) {
  const v1::MaterializeRequest request = trial.MaterializeRequest(base.version);
  trial.Check("Materialize gives the same again, bit for bit", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const Outputs again, trial.Materialize(request));
    return SameOutputs(again, base.outputs) ? absl::OkStatus() : Broken("it differs");
  });
  trial.Check("Materialize gives the examples that are asked for, in that order",
              [&]() -> absl::Status {
                const auto last = static_cast<int64_t>(base.outputs.size()) - 1;
                v1::MaterializeRequest some = request;
                Outputs expected;
                for (const int64_t example : {last, int64_t{0}, last / 2}) {
                  some.add_examples(example);
                  expected.push_back(base.outputs[static_cast<size_t>(example)]);
                }
                BACKFIRE_ASSIGN_OR_RETURN(const Outputs given, trial.Materialize(some));
                if (!SameOutputs(given, expected)) {
                  return Broken("examples by themselves are others than among all");
                }
                for (size_t i = 0; i < given.size(); ++i) {
                  if (given[i].cluster != expected[i].cluster)
                    return Broken("their clusters differ");
                }
                return absl::OkStatus();
              });
  trial.Check("a version with another digest than expected is DATA_LOSS", [&] {
    v1::MaterializeRequest other = request;
    other.set_digest(std::string(64, '0'));
    return MustBe(absl::StatusCode::kDataLoss, trial.Materialize(other));
  });
  trial.Check("an example that there is not is INVALID_ARGUMENT", [&] {
    v1::MaterializeRequest beyond = request;
    beyond.add_examples(static_cast<int64_t>(base.outputs.size()));
    return MustBe(absl::StatusCode::kInvalidArgument, trial.Materialize(beyond));
  });
  trial.Check("outputs of an unknown version are NOT_FOUND", [&] {
    v1::MaterializeRequest unknown = request;
    unknown.clear_digest();
    unknown.set_version(absl::StrCat(trial.model().name(), "/versions/999999999"));
    return MustBe(absl::StatusCode::kNotFound, trial.Materialize(unknown));
  });
  TryCommitments(trial, base);
}

}  // namespace backfire::conformance
