#pragma once

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/output_producer.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Commits to what one model's versions give for splits. Thread-safe.
class Committer {
 public:
  /// All are borrowed.
  Committer(const DescribedModel& model, const VersionStore& versions,
            const OutputProducer& outputs)
      : model_(model), versions_(versions), outputs_(outputs) {}

  /// Finds faults of a request that need neither files nor other services. INVALID_ARGUMENT;
  /// NOT_FOUND: no such version. DATA_LOSS: it is another than the caller expects.
  absl::Status Check(const v1::CommitOutputsRequest& request) const;
  /// Sets `result.commitment` and `result.version`, and what it cost.
  absl::Status Commit(const v1::CommitOutputsRequest& request, JobContext& job,
                      v1::Job& result) const;

 private:
  const DescribedModel& model_;
  const VersionStore& versions_;
  const OutputProducer& outputs_;
};

}  // namespace backfire::runtime
