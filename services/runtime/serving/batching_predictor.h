#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/base/mutex.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// How requests are gathered.
struct BatchOptions {
  int size = 1;  ///< At most so many are predicted at once; 1: each on its own.
  std::chrono::milliseconds wait{5};  ///< That the first of a batch waits for others, at most.
};

/// A predictor that gathers what threads ask of it at about the same time: examples whose inputs
/// have equal shapes are predicted at once by the one beneath. An example that makes its batch fail
/// fails alone; a batch is cancelled once all who are in it are, which whoever came first asks
/// of the others' `cancelled` on its own thread. Thread-safe.
class BatchingPredictor final : public Predictor {
 public:
  /// @param predictor  Has batches.
  BatchingPredictor(std::shared_ptr<const Predictor> predictor, BatchOptions options);

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override;
  int64_t PeakBytes(const TensorMap& inputs) const override {
    return predictor_->PeakBytes(inputs);
  }

  /// How many examples its batches had: a histogram, without labels.
  prometheus::ClientMetric BatchSizes() const { return sizes_.Collect(); }

 private:
  struct Member {
    const TensorMap* inputs = nullptr;
    const std::function<bool()>* cancelled = nullptr;
  };
  struct Batch {
    std::vector<Member> members;  ///< Of threads that wait for `done`.
    std::vector<absl::StatusOr<TensorMap>> outputs;
    bool done = false;
  };
  static bool Abandoned(const std::vector<Member>& members);
  std::vector<absl::StatusOr<TensorMap>> Run(const std::vector<Member>& members) const;

  const std::shared_ptr<const Predictor> predictor_;
  const BatchOptions options_;
  mutable prometheus::Histogram sizes_{
      prometheus::Histogram::BucketBoundaries{1, 2, 4, 8, 16, 32, 64}};
  mutable Mutex mutex_;
  mutable CondVar changed_;  ///< A batch is full, or done.
  /// Those that take more, by the shapes of their inputs. A batch's other fields have its guard.
  mutable std::map<std::string, std::shared_ptr<Batch>> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
