#include "services/gateway/release_watcher.h"

#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/runtime/channel.h"

namespace backfire::gateway {

ReleaseWatcher::ReleaseWatcher(const std::string& orchestrator, const std::string& gateway_name,
                               std::function<void(const ReleaseView&)> changed)
    : orchestrator_(orchestrator),
      gateway_name_(gateway_name),
      changed_(std::move(changed)),
      thread_([this] { Follow(); }) {}

ReleaseWatcher::~ReleaseWatcher() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->TryCancel();
    wake_.NotifyAll();
  }
  thread_.join();
}

std::shared_ptr<const ReleaseView> ReleaseWatcher::view() const {
  MutexLock lock(mutex_);
  return view_;
}

void ReleaseWatcher::FollowOnce() {
  const auto stub = v1::Orchestrator::NewStub(runtime::MakeChannel(orchestrator_));
  // No deadline: the stream lives as long as both ends; keepalive notices a dead peer.
  grpc::ClientContext context;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    stream_ = &context;
  }
  v1::WatchReleasesRequest request;
  request.set_gateway(gateway_name_);
  const auto reader = stub->WatchReleases(&context, request);
  v1::ReleaseSnapshot snapshot;
  while (reader->Read(&snapshot)) {
    const auto view = MakeReleaseView(snapshot);
    if (!view.ok()) {
      spdlog::error("releases state=REFUSED error=\"{}\"", std::string(view.status().message()));
      continue;
    }
    {
      MutexLock lock(mutex_);
      view_ = *view;
    }
    spdlog::info("releases state=FOLLOWED live={} epoch={} servable={}", (*view)->live,
                 (*view)->epoch, (*view)->releases.size());
    changed_(**view);
  }
  const grpc::Status status = reader->Finish();
  MutexLock lock(mutex_);
  stream_ = nullptr;
  if (!stopping_) {
    spdlog::warn("releases state=LOST orchestrator={} error=\"{}\"", orchestrator_,
                 status.error_message());
  }
}

void ReleaseWatcher::Follow() {
  std::chrono::milliseconds backoff(100);
  while (true) {
    const auto start = std::chrono::steady_clock::now();
    FollowOnce();
    const auto end = std::chrono::steady_clock::now();
    backoff = end - start > std::chrono::seconds(10)
                  ? std::chrono::milliseconds(100)
                  : std::min(backoff * 2, std::chrono::milliseconds(3000));
    MutexLock lock(mutex_);
    while (!stopping_ && std::chrono::steady_clock::now() < end + backoff) {
      wake_.WaitUntil(mutex_, end + backoff);
    }
    if (stopping_) return;
  }
}

}  // namespace backfire::gateway
