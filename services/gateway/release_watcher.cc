#include "services/gateway/release_watcher.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/rpc/channel.h"

namespace backfire::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Stream = grpc::ClientReaderWriter<v1::GatewayReport, v1::ReleaseSnapshot>;

// Until an orchestrator has said how long its leases are.
constexpr milliseconds kFirstReportInterval(1000);
// How long a leaving gateway waits for its last word to be taken.
constexpr milliseconds kGoodbye(500);

}  // namespace

// What requests, which may outlive the watcher, share with it.
struct ReleaseWatcher::Shared {
  struct InFlight {
    int64_t epoch;
    steady_clock::time_point start;
  };

  // Whether a request in flight began before the newest view: the orchestrator waits for its end.
  bool Drains() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return view != nullptr && !in_flight.empty() && in_flight.begin()->second.epoch < view->epoch;
  }

  Mutex mutex;
  CondVar wake;
  std::shared_ptr<const ReleaseView> view ABSL_GUARDED_BY(mutex);
  // By a number that grows: the first is the oldest, of the lowest epoch.
  std::map<int64_t, InFlight> in_flight ABSL_GUARDED_BY(mutex);
  int64_t last_request ABSL_GUARDED_BY(mutex) = 0;
  milliseconds report_interval ABSL_GUARDED_BY(mutex) = kFirstReportInterval;
  int64_t news ABSL_GUARDED_BY(mutex) = 0;  // Grows with what is worth a report at once.
  grpc::ClientContext* stream ABSL_GUARDED_BY(mutex) = nullptr;
  bool stream_ended ABSL_GUARDED_BY(mutex) = false;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

ReleaseWatcher::ReleaseWatcher(const std::string& orchestrator, const std::string& gateway_name,
                               std::function<void(const ReleaseView*, bool)> changed)
    : orchestrator_(orchestrator),
      gateway_name_(gateway_name),
      changed_(std::move(changed)),
      shared_(std::make_shared<Shared>()),
      thread_([this] { Follow(); }) {}

ReleaseWatcher::~ReleaseWatcher() {
  {
    MutexLock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->wake.NotifyAll();
    const auto give_up = steady_clock::now() + kGoodbye;
    while (shared_->stream != nullptr && steady_clock::now() < give_up) {
      shared_->wake.WaitUntil(shared_->mutex, give_up);
    }
    if (shared_->stream != nullptr) shared_->stream->TryCancel();
  }
  thread_.join();
}

HeldView ReleaseWatcher::Hold() const {
  // One lock for both: a report that says that no request holds an older view must be true.
  MutexLock lock(shared_->mutex);
  HeldView held;
  held.view = shared_->view;
  if (held.view == nullptr) return held;
  const int64_t number = ++shared_->last_request;
  shared_->in_flight[number] = {held.view->epoch, steady_clock::now()};
  held.ticket = std::shared_ptr<const void>(nullptr, [shared = shared_, number](const void*) {
    MutexLock release(shared->mutex);
    const bool drained_before = !shared->Drains();
    shared->in_flight.erase(number);
    if (drained_before || shared->Drains()) return;
    ++shared->news;
    shared->wake.NotifyAll();
  });
  return held;
}

std::shared_ptr<const ReleaseView> ReleaseWatcher::view() const {
  MutexLock lock(shared_->mutex);
  return shared_->view;
}

void ReleaseWatcher::Take(const v1::ReleaseSnapshot& snapshot) {
  std::shared_ptr<const ReleaseView> view;
  if (snapshot.has_system()) {
    auto made = MakeReleaseView(snapshot);
    if (!made.ok()) {
      spdlog::error("releases state=REFUSED error=\"{}\"", std::string(made.status().message()));
      return;
    }
    view = *std::move(made);
    spdlog::info("releases state=FOLLOWED live={} epoch={} servable={}", view->live, view->epoch,
                 view->releases.size());
  }
  {
    MutexLock lock(shared_->mutex);
    if (view != nullptr) shared_->view = view;
    view = shared_->view;
    if (snapshot.has_lease()) {
      // Two reports may be lost before the lease runs out.
      const milliseconds lease(
          google::protobuf::util::TimeUtil::DurationToMilliseconds(snapshot.lease()));
      shared_->report_interval = std::max(lease / 3, milliseconds(10));
    }
    ++shared_->news;
    shared_->wake.NotifyAll();
  }
  changed_(view.get(), true);
}

bool ReleaseWatcher::FollowOnce() {
  const auto stub = v1::Orchestrator::NewStub(runtime::MakeChannel(orchestrator_));
  // No deadline: the stream lives as long as both ends; keepalive notices a dead peer.
  grpc::ClientContext context;
  {
    MutexLock lock(shared_->mutex);
    if (shared_->stopping) return false;
    shared_->stream = &context;
    shared_->stream_ended = false;
  }
  const std::unique_ptr<Stream> stream = stub->WatchReleases(&context);
  std::thread reporter([&] {
    while (true) {
      v1::GatewayReport report;
      report.set_gateway(gateway_name_);
      int64_t told = 0;
      milliseconds interval{};
      bool leaving = false;
      {
        MutexLock lock(shared_->mutex);
        if (shared_->stream_ended) return;
        told = shared_->news;
        interval = shared_->report_interval;
        leaving = shared_->stopping;
        report.set_leaving(leaving);
        if (shared_->view != nullptr) report.set_epoch(shared_->view->epoch);
        report.set_requests_in_flight(static_cast<int64_t>(shared_->in_flight.size()));
        if (!shared_->in_flight.empty()) {
          const Shared::InFlight& oldest = shared_->in_flight.begin()->second;
          report.set_oldest_epoch(oldest.epoch);
          const std::chrono::duration<double> age = steady_clock::now() - oldest.start;
          report.set_oldest_request_seconds(age.count());
        }
      }
      if (!stream->Write(report)) return;
      if (leaving) {
        stream->WritesDone();
        return;
      }
      const auto next = steady_clock::now() + interval;
      MutexLock lock(shared_->mutex);
      while (shared_->news == told && !shared_->stream_ended && !shared_->stopping) {
        if (!shared_->wake.WaitUntil(shared_->mutex, next)) break;
      }
    }
  });
  v1::ReleaseSnapshot snapshot;
  bool answered = false;
  while (stream->Read(&snapshot)) {
    answered = true;
    Take(snapshot);
  }
  {
    MutexLock lock(shared_->mutex);
    shared_->stream_ended = true;
    shared_->wake.NotifyAll();
  }
  reporter.join();
  const grpc::Status status = stream->Finish();
  std::shared_ptr<const ReleaseView> view;
  {
    MutexLock lock(shared_->mutex);
    shared_->stream = nullptr;
    shared_->wake.NotifyAll();
    if (shared_->stopping) return answered;
    view = shared_->view;
  }
  spdlog::warn("releases state=LOST orchestrator={} error=\"{}\"", orchestrator_,
               status.error_message());
  changed_(view.get(), false);
  return answered;
}

void ReleaseWatcher::Follow() {
  milliseconds backoff(100);
  while (true) {
    backoff = FollowOnce() ? milliseconds(100) : std::min(backoff * 2, milliseconds(3000));
    const auto end = steady_clock::now();
    MutexLock lock(shared_->mutex);
    while (!shared_->stopping && steady_clock::now() < end + backoff) {
      shared_->wake.WaitUntil(shared_->mutex, end + backoff);
    }
    if (shared_->stopping) return;
  }
}

}  // namespace backfire::gateway
