#pragma once

#include <functional>
#include <memory>

#include "services/base/mutex.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// A predictor that runs so many predictions at once, and has others wait: for a model without
/// batches in a service that admits as many requests as make full batches. Thread-safe.
class LimitedPredictor final : public Predictor {
 public:
  LimitedPredictor(std::shared_ptr<const Predictor> predictor, int limit)
      : predictor_(std::move(predictor)), free_(limit) {}

  /// CANCELLED: while it waited.
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override;
  int64_t PeakBytes(const TensorMap& inputs) const override {
    return predictor_->PeakBytes(inputs);
  }

 private:
  const std::shared_ptr<const Predictor> predictor_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable int free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
