#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/rpc/channel.h"
#include "services/runtime/dataset.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/commitments.h"
#include "services/runtime/outputs/output_store.h"

namespace backfire::runtime {

/// What feeds a version: its parents, where their services are reached, and what they are held to.
struct Feed {
  std::vector<v1::Parent> parents;
  v1::Endpoints endpoints;
  Commitments commitments;  ///< Of all ancestors, as far as their services commit.
};

/// Brings a model's inputs together for a split: from the dataset, and from parents' services,
/// whose outputs are kept. Thread-safe.
class InputGatherer {
 public:
  /// Both are borrowed.
  InputGatherer(OutputStore& outputs, ChannelPool& channels)
      : outputs_(outputs), channels_(channels) {}

  /// The named inputs of every example: those that `feed` has a parent for from that parent's
  /// outputs, the others from the dataset. Errors as PullParentOutputs has them.
  ///
  /// Outputs that a commitment is of are kept by its digest, and verified when they arrive:
  /// DATA_LOSS if they differ. Those of a version that is committed to on other splits alone are
  /// pulled anew, as nothing vouches for a kept copy. Those of a version that no commitment names
  /// are kept by the version's digest, on its service's word.
  /// @param observed  Gets what was pulled anew, if not null.
  absl::StatusOr<std::shared_ptr<const Examples>> Gather(
      const std::vector<std::string>& names, const Feed& feed,
      const std::shared_ptr<const Dataset>& dataset, Split split, JobContext& job,
      OutputTally& tally, std::vector<v1::OutputsCommitment>* observed = nullptr) const;

 private:
  absl::StatusOr<std::shared_ptr<const Examples>> Pull(
      const v1::Parent& parent, const Feed& feed, const Dataset& dataset, Split split,
      JobContext& job, OutputTally& tally, std::vector<v1::OutputsCommitment>* observed) const;

  OutputStore& outputs_;
  ChannelPool& channels_;
};

}  // namespace backfire::runtime
