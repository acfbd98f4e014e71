#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/output_producer.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Does the evaluations of one model, and remembers what serving versions lose. Thread-safe.
class Evaluator {
 public:
  /// All are borrowed.
  Evaluator(const DescribedModel& model, const VersionStore& versions,
            const OutputProducer& outputs)
      : model_(model), versions_(versions), outputs_(outputs) {}

  /// Finds faults of a request that need neither files nor other services. INVALID_ARGUMENT;
  /// NOT_FOUND: no such version.
  absl::Status Check(const v1::EvaluateRequest& request) const;
  /// Sets `result.evaluation` and `result.version`, and what it cost.
  absl::Status Evaluate(const v1::EvaluateRequest& request, JobContext& job, v1::Job& result);

  /// Losses of a version on the test split, fed by its lineage, as the last evaluation since the
  /// start found them, resamples left out; empty: there was none.
  std::vector<v1::LossEstimate> TestLosses(int64_t number) const;
  /// Forgets the losses of a version that is deleted.
  void Forget(int64_t number);

 private:
  const DescribedModel& model_;
  const VersionStore& versions_;
  const OutputProducer& outputs_;
  mutable Mutex mutex_;
  std::map<int64_t, std::vector<v1::LossEstimate>> test_losses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
