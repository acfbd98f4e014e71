#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/dataset.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/input_gatherer.h"
#include "services/runtime/outputs/output_store.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Gives the outputs of one model's versions for all examples of a split: computed once, and kept.
/// Thread-safe.
class OutputProducer {
 public:
  /// @param threads  Examples that are predicted at once; no output depends on it.
  /// All others are borrowed.
  OutputProducer(const DescribedModel& model, const VersionStore& versions, OutputStore& outputs,
                 const InputGatherer& inputs, int threads)
      : model_(model), versions_(versions), outputs_(outputs), inputs_(inputs), threads_(threads) {}

  /// Which outputs of a version: on what, and fed by whom.
  struct Wanted {
    v1::Version version;
    /// In place of the lineage's parents ("swap without retraining"); none: the lineage's.
    std::vector<v1::Parent> swapped_parents;
    std::shared_ptr<const Dataset> dataset;
    Split split = Split::kTest;
    v1::Endpoints endpoints;
    Commitments commitments;  ///< Of all ancestors, as far as their services commit.
    /// Whom the version is fed by here.
    std::vector<v1::Parent> parents() const;
  };
  /// Computes outputs unless they are kept already. What parents gave is part of what they are kept
  /// by, where it is committed to: nobody finds what was computed on something else.
  /// FAILED_PRECONDITION: a parent's service commits, and has not committed to this split.
  absl::StatusOr<std::shared_ptr<const Examples>> Produce(const Wanted& wanted, JobContext& job,
                                                          OutputTally& tally) const;

  /// What a version gave for a split.
  struct Outputs {
    std::shared_ptr<const Dataset> dataset;
    Split split = Split::kTest;
    std::shared_ptr<const Examples> examples;
  };
  /// Finds or computes what a request asks for. INVALID_ARGUMENT: names the field. NOT_FOUND: no
  /// such version. DATA_LOSS: it has another digest than the caller expects.
  absl::StatusOr<Outputs> Materialize(const v1::MaterializeRequest& request, JobContext& job) const;

  /// Finds or computes a version's outputs, and states what they are. Errors as for Produce.
  absl::StatusOr<v1::OutputsCommitment> Commit(const Wanted& wanted, JobContext& job,
                                               OutputTally& tally) const;

 private:
  /// Predicts every example, and appends what each gives.
  absl::Status Predict(const Wanted& wanted, JobContext& job, OutputTally& tally,
                       ExampleFileWriter& writer) const;

  const DescribedModel& model_;
  const VersionStore& versions_;
  OutputStore& outputs_;
  const InputGatherer& inputs_;
  const int threads_;
};

/// INVALID_ARGUMENT: the dataset has no such split.
absl::Status CheckHas(const Dataset& dataset, Split split);

}  // namespace backfire::runtime
