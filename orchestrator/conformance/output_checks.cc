#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {

namespace {

// Adds what parents state of what they give on a split; wrongly where that is to be noticed.
template <typename Request>
void AddCommitments(const Trial& trial, const std::vector<v1::Parent>& parents,
                    const std::string& split, bool right, Request& request) {
  for (const v1::Parent& parent : parents) {
    v1::OutputsCommitment& commitment = *request.add_commitments();
    commitment = trial.parents().CommitmentOf(parent, split);
    if (!right) commitment.set_outputs_digest(std::string(64, '1'));
  }
}

// Whether every parent that was pulled on a split is among the commitments of what came of it.
absl::Status CheckSaid(const google::protobuf::RepeatedPtrField<v1::OutputsCommitment>& said,
                       const std::string& field, const std::vector<v1::Parent>& parents,
                       const std::string& split, const std::vector<StandInParents::Pull>& pulls,
                       const Trial& trial) {
  for (const v1::Parent& parent : parents) {
    const bool pulled = std::any_of(pulls.begin(), pulls.end(), [&](const auto& pull) {
      return pull.version == parent.version() && pull.split == split;
    });
    const v1::OutputsCommitment stated = trial.parents().CommitmentOf(parent, split);
    const bool found = std::any_of(said.begin(), said.end(), [&](const auto& one) {
      return one.version_digest() == parent.digest() && one.split() == split &&
             one.outputs_digest() == stated.outputs_digest();
    });
    if (!pulled || found) continue;
    return Broken(absl::StrCat(field, " must have what ", parent.version(),
                               " committed to on the split ", split, ", which was read"));
  }
  return absl::OkStatus();
}

// Whether a service holds its parents to what they stated, and says to what.
void TryParentsCommitments(Trial& trial, const Trained& base) {
  const std::vector<v1::Parent> parents(base.version.lineage().begin(),
                                        base.version.lineage().end());
  const std::string wrong = "a parent that gives other outputs than were stated is DATA_LOSS";
  trial.Check(wrong, [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    AddCommitments(trial, parents, "test", /*right=*/false, request);
    return MustBe(absl::StatusCode::kDataLoss, trial.Evaluate(request));
  });
  constexpr int kWrong = 30, kRight = 31, kUnstated = 32;  // Twins that nothing was kept of yet.
  trial.Check(wrong + ", in training too", [&]() -> absl::Status {
    const std::vector<v1::Parent> twins = trial.parents().Lineage(Conduct::kPlain, kWrong);
    v1::TrainRequest request = trial.TrainRequest(twins);
    for (const char* split : {"train", "validation"}) {
      AddCommitments(trial, twins, split, /*right=*/false, request);
    }
    trial.parents().TakePulls();
    const absl::StatusOr<v1::Job> job = trial.Train(request);
    const auto pulls = trial.parents().TakePulls();
    const bool is_held = std::any_of(pulls.begin(), pulls.end(), [](const auto& pull) {
      return pull.split == "train" || pull.split == "validation";
    });
    if (!is_held) return NotTried("a training pulls no parents, or none that states what it gave");
    return MustBe(absl::StatusCode::kDataLoss, job);
  });
  v1::Version version;
  trial.Check("a version says what its parents stated, and is known by it", [&]() -> absl::Status {
    const std::vector<v1::Parent> twins = trial.parents().Lineage(Conduct::kPlain, kRight);
    v1::TrainRequest request = trial.TrainRequest(twins);
    for (const char* split : {"train", "validation"}) {
      AddCommitments(trial, twins, split, /*right=*/true, request);
    }
    trial.parents().TakePulls();
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(request));
    version = job.version();
    const auto pulls = trial.parents().TakePulls();
    BACKFIRE_RETURN_IF_ERROR(
        CheckSaid(version.trained_on(), "Version.trained_on", twins, "train", pulls, trial));
    if (pulls.empty()) return absl::OkStatus();
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job unstated, trial.Train(trial.TrainRequest(twins)));
    return MustDiffer(version, unstated.version(), "what its parents stated");
  });
  if (version.name().empty()) return;
  trial.Check("an evaluation says what its parents stated", [&]() -> absl::Status {
    const std::vector<v1::Parent> twins = trial.parents().Lineage(Conduct::kPlain, kUnstated);
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.mutable_swapped_parents()->Assign(twins.begin(), twins.end());
    AddCommitments(trial, twins, "test", /*right=*/true, request);
    trial.parents().TakePulls();
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Evaluate(request));
    if (!SameLosses(job.evaluation(), base.evaluation)) {
      return Broken("by parents that gave what they stated losses must be as without: they differ");
    }
    return CheckSaid(job.evaluation().commitments(), "Evaluation.commitments", twins, "test",
                     trial.parents().TakePulls(), trial);
  });
}

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
  trial.Check("committing a version with another digest than expected is DATA_LOSS", [&] {
    v1::CommitOutputsRequest request = trial.CommitRequest(base.version);
    request.set_digest(std::string(64, '0'));
    return MustBe(absl::StatusCode::kDataLoss, trial.Commit(request));
  });
  if (!trial.is_fed() || stated.dataset_digest().empty()) return;
  // A service that reads a dataset itself has parents that read the same.
  trial.parents().SetDatasetDigest(stated.dataset_digest());
  TryParentsCommitments(trial, base);
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
