#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/rpc/channel.h"
#include "services/runtime/dataset.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/output_store.h"

namespace backfire::runtime {

/// What feeds a version: its parents, and where their services are reached.
struct Feed {
  std::vector<v1::Parent> parents;
  v1::Endpoints endpoints;
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
  absl::StatusOr<std::shared_ptr<const Examples>> Gather(
      const std::vector<std::string>& names, const Feed& feed,
      const std::shared_ptr<const Dataset>& dataset, Split split, JobContext& job,
      OutputTally& tally) const;

 private:
  OutputStore& outputs_;
  ChannelPool& channels_;
};

}  // namespace backfire::runtime
