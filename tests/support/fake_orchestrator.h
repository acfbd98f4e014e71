#pragma once

#include <chrono>
#include <optional>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/base/mutex.h"

namespace backfire::testing {

/// Says what a test tells it to: a fake, as the real one would need a whole update. Thread-safe.
class FakeOrchestrator final : public v1::Orchestrator::Service {
 public:
  grpc::Status WatchReleases(grpc::ServerContext* context, const v1::WatchReleasesRequest*,
                             grpc::ServerWriter<v1::ReleaseSnapshot>* writer) override {
    int64_t seen = 0;
    while (!context->IsCancelled()) {
      std::optional<v1::ReleaseSnapshot> news;
      {
        MutexLock lock(mutex_);
        if (stopping_) break;
        if (changes_ == seen) {
          changed_.WaitUntil(mutex_,
                             std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
        }
        if (changes_ > seen) news = snapshot_;
        seen = changes_;
      }
      if (news.has_value()) writer->Write(*news);
    }
    return grpc::Status::OK;
  }
  void Publish(const v1::ReleaseSnapshot& snapshot) {
    MutexLock lock(mutex_);
    snapshot_ = snapshot;
    ++changes_;
    changed_.NotifyAll();
  }
  void Stop() {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  v1::ReleaseSnapshot snapshot_ ABSL_GUARDED_BY(mutex_);
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace backfire::testing
