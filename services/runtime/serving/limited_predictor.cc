#include "services/runtime/serving/limited_predictor.h"

#include <chrono>

#include "absl/cleanup/cleanup.h"

namespace backfire::runtime {
namespace {

// A request that is cancelled while it waits notices so late.
constexpr std::chrono::milliseconds kFreePoll(20);

}  // namespace

absl::StatusOr<TensorMap> LimitedPredictor::Predict(const TensorMap& inputs,
                                                    const std::function<bool()>& cancelled) const {
  {
    MutexLock lock(mutex_);
    while (free_ == 0) {
      if (cancelled()) return absl::CancelledError("cancelled before the prediction");
      changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kFreePoll);
    }
    --free_;
  }
  const absl::Cleanup give_back = [this] {
    MutexLock lock(mutex_);
    ++free_;
    changed_.NotifyOne();
  };
  return predictor_->Predict(inputs, cancelled);
}

}  // namespace backfire::runtime
