#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/base/mutex.h"

namespace backfire::testing {

/// Says what a test tells it to: a fake, as the real one would need a whole update. Thread-safe.
class FakeOrchestrator final : public v1::Orchestrator::Service {
 public:
  grpc::Status WatchReleases(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ReleaseSnapshot, v1::GatewayReport>* stream) override {
    std::thread reader([&] {
      v1::GatewayReport report;
      while (stream->Read(&report)) {
        MutexLock lock(mutex_);
        reports_[report.gateway().substr(0, report.gateway().find('#'))] = report;
        changed_.NotifyAll();
      }
    });
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
      if (news.has_value()) stream->Write(*news);
    }
    context->TryCancel();
    reader.join();
    return grpc::Status::OK;
  }
  void Publish(const v1::ReleaseSnapshot& snapshot) {
    MutexLock lock(mutex_);
    snapshot_ = snapshot;
    ++changes_;
    changed_.NotifyAll();
  }
  /// Waits, for at most a minute, until the last report of a gateway is as `wanted` says; returns
  /// it. The name is that of its flag, without the number that it adds.
  v1::GatewayReport WaitForReport(const std::string& gateway,
                                  const std::function<bool(const v1::GatewayReport&)>& wanted) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    MutexLock lock(mutex_);
    while (reports_.count(gateway) == 0 || !wanted(reports_[gateway])) {
      if (!changed_.WaitUntil(mutex_, give_up)) break;
    }
    return reports_[gateway];
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
  std::map<std::string, v1::GatewayReport> reports_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace backfire::testing
