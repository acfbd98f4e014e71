#include "services/runtime/outputs/predict_in_order.h"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/exceptions.h"
#include "services/base/mutex.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

// Shared by the workers and the thread that takes results.
class Pipeline {
 public:
  Pipeline(int64_t size, int64_t window) : size_(size), window_(window) {}

  // The next example to predict, or -1: there is none. Waits while results pile up.
  int64_t NextExample() {
    MutexLock lock(mutex_);
    while (!stopped_ && next_ < size_ && next_ >= taken_ + window_) changed_.Wait(mutex_);
    return stopped_ || next_ >= size_ ? -1 : next_++;
  }

  void Deliver(int64_t example, absl::StatusOr<TensorMap> result) {
    MutexLock lock(mutex_);
    results_.emplace(example, std::move(result));
    changed_.NotifyAll();
  }

  absl::StatusOr<TensorMap> Take(int64_t example) {
    MutexLock lock(mutex_);
    auto found = results_.find(example);
    while (found == results_.end()) {
      changed_.Wait(mutex_);
      found = results_.find(example);
    }
    absl::StatusOr<TensorMap> result = std::move(found->second);
    results_.erase(found);
    taken_ = example + 1;
    changed_.NotifyAll();
    return result;
  }

  void Stop() {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }

 private:
  const int64_t size_;
  const int64_t window_;
  Mutex mutex_;
  CondVar changed_;
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<int64_t, absl::StatusOr<TensorMap>> results_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status PredictInOrder(
    int64_t size, int threads, const std::function<bool()>& cancelled,
    const std::function<absl::StatusOr<TensorMap>(int64_t example)>& predict,
    const std::function<absl::Status(int64_t example, TensorMap outputs)>& take) {
  Pipeline pipeline(size, 2 * threads);
  const auto predict_unless_cancelled = [&](int64_t example) -> absl::StatusOr<TensorMap> {
    if (cancelled()) return absl::CancelledError("cancelled while predicting");
    return CatchExceptions([&] { return predict(example); });
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < std::min<int64_t>(threads, size); ++i) {
    workers.emplace_back([&] {
      for (int64_t example = pipeline.NextExample(); example >= 0;
           example = pipeline.NextExample()) {
        pipeline.Deliver(example, predict_unless_cancelled(example));
      }
    });
  }
  absl::Status status;
  for (int64_t example = 0; example < size && status.ok(); ++example) {
    absl::StatusOr<TensorMap> outputs = pipeline.Take(example);
    status = outputs.ok() ? take(example, *std::move(outputs))
                          : Annotate(outputs.status(), absl::StrCat("example ", example));
  }
  pipeline.Stop();
  for (std::thread& worker : workers) worker.join();
  return status;
}

}  // namespace backfire::runtime
