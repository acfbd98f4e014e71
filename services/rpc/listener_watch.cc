#include "services/rpc/listener_watch.h"

#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/rpc/unary_call.h"

namespace backfire::runtime {

ListenerWatch::ListenerWatch(std::string target, const ListenerWatchOptions& options,
                             std::function<void()> on_deaf)
    : target_(std::move(target)), options_(options), on_deaf_(std::move(on_deaf)) {
  thread_ = std::thread([this] { Run(); });
}

ListenerWatch::~ListenerWatch() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void ListenerWatch::Run() {
  const std::function<bool()> stopped = [this] {
    MutexLock lock(mutex_);
    return stopped_;
  };
  for (int failures = 0; failures < options_.failures;) {
    {
      const auto next = std::chrono::steady_clock::now() + options_.period;
      MutexLock lock(mutex_);
      while (!stopped_ && wake_.WaitUntil(mutex_, next)) {
      }
      if (stopped_) return;
    }
    // A channel of its own each time: one that is kept would stay connected to a deaf listener.
    const auto stub = grpc::health::v1::Health::NewStub(MakeChannel(target_));
    grpc::health::v1::HealthCheckRequest request;
    request.set_service("liveness");
    const auto answer = UnaryCall(*stub, &grpc::health::v1::Health::Stub::Check, request,
                                  absl::FromChrono(options_.timeout), &stopped);
    if (stopped()) return;
    failures = absl::IsDeadlineExceeded(answer.status()) ? failures + 1 : 0;
    if (failures > 0) {
      spdlog::error("server state=UNRESPONSIVE endpoint={} failures={} error=\"{}\"", target_,
                    failures, std::string(answer.status().message()));
    }
  }
  on_deaf_();
}

}  // namespace backfire::runtime
