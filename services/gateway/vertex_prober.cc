#include "services/gateway/vertex_prober.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/version_name.h"

namespace backfire::gateway {
namespace {

// From one probe's start to the next one's, unless it took longer. With the time that a probe may
// take it is well within VertexReadiness::kFresh, so that one lost answer makes nobody unready.
constexpr std::chrono::milliseconds kInterval(1000);
constexpr std::chrono::milliseconds kTimeout(2000);
static_assert(kInterval + kTimeout < VertexReadiness::kFresh);
// Processes behind a name that is new are known a moment later.
constexpr std::chrono::milliseconds kNameInterval(200);

}  // namespace

struct VertexProber::Probe {
  Target target;
  Vertex vertex;
  std::shared_ptr<grpc::Channel> channel;
  std::chrono::system_clock::time_point deadline;
  grpc::ClientContext readiness, description;
  std::unique_ptr<inference::GRPCInferenceService::Stub> inference;
  inference::ModelReadyRequest ready_request;
  inference::ModelReadyResponse ready_response;
  std::unique_ptr<v1::ModelService::Stub> service;
  v1::GetVersionRequest version_request;
  v1::Version version;
};

VertexProber::VertexProber(runtime::ChannelPool& channels, runtime::NameFollower& names,
                           std::function<void(const Faults&)> changed)
    : channels_(channels),
      names_(names),
      changed_(std::move(changed)),
      thread_([this] { Loop(); }) {}

VertexProber::~VertexProber() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
    for (const auto& [raw, probe] : probes_) {
      probe->readiness.TryCancel();
      probe->description.TryCancel();
    }
  }
  thread_.join();
  MutexLock lock(mutex_);
  while (!probes_.empty()) wake_.Wait(mutex_);
}

void VertexProber::Follow(const ReleaseView& view) {
  std::map<std::string, Vertex> vertices;
  std::map<std::string, VertexReadiness::Wanted> live;
  const auto versions = view.releases.find(view.live);
  if (versions != view.releases.end()) {
    const auto& digests = view.digests.at(view.live);
    for (const std::string& name : view.graph.order()) {
      const graph::SystemGraph::Node& node = view.graph.node(name);
      Vertex& vertex = vertices[name];
      vertex.model = std::string(absl::StripPrefix(node.model_name, "models/"));
      vertex.number = absl::StrCat(versions->second.at(name));
      vertex.wanted.version = absl::StrCat(node.model_name, "/versions/", vertex.number);
      if (const auto digest = digests.find(name); digest != digests.end()) {
        vertex.wanted.digest = digest->second;
      }
      vertex.endpoints = graph::ServingEndpoints(node.vertex);
      live[name] = vertex.wanted;
    }
  }
  MutexLock lock(mutex_);
  vertices_ = std::move(vertices);
  readiness_.SetLive(live);
  news_ = true;
  wake_.NotifyAll();
}

absl::Status VertexProber::Check(const std::vector<std::string>& vertices) const {
  MutexLock lock(mutex_);
  const Faults faults = readiness_.Faults(Clock::now());
  std::vector<std::string> found;
  for (const std::string& vertex : vertices) {
    const auto fault = faults.find(vertex);
    if (fault == faults.end()) {
      found.push_back(absl::StrCat("vertex ", vertex, " has not been asked yet"));
    } else if (!fault->second.empty()) {
      found.push_back(fault->second);
    }
  }
  return found.empty() ? absl::OkStatus() : absl::UnavailableError(absl::StrJoin(found, "; "));
}

void VertexProber::Loop() {
  while (true) {
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      news_ = false;
    }
    StartDue();
    Publish();
    WaitForWork();
  }
}

void VertexProber::StartDue() {
  std::map<std::string, Vertex> vertices;
  {
    MutexLock lock(mutex_);
    vertices = vertices_;
  }
  std::map<Target, const Vertex*> wanted;
  for (auto& [name, vertex] : vertices) {
    vertex.endpoints = names_.Expand(vertex.endpoints);
    for (const std::string& endpoint : vertex.endpoints) wanted[{name, endpoint}] = &vertex;
  }
  std::vector<Probe*> started;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    const Clock::time_point now = Clock::now();
    for (const auto& [name, vertex] : vertices) readiness_.SetEndpoints(name, vertex.endpoints);
    for (auto target = targets_.begin(); target != targets_.end();) {
      const bool gone = wanted.count(target->first) == 0 && target->second.in_flight == nullptr;
      target = gone ? targets_.erase(target) : std::next(target);
    }
    for (const auto& [target, vertex] : wanted) {
      Scheduled& scheduled = targets_[target];
      const bool due = now >= scheduled.next || !(scheduled.wanted == vertex->wanted);
      if (!due || scheduled.in_flight != nullptr) continue;
      auto probe = std::make_unique<Probe>();
      probe->target = target;
      probe->vertex = *vertex;
      scheduled = {now + kInterval, vertex->wanted, probe.get()};
      started.push_back(probe.get());
      probes_[probe.get()] = std::move(probe);
    }
  }
  for (Probe* probe : started) AskWhetherReady(*probe);
}

void VertexProber::AskWhetherReady(Probe& probe) {
  probe.channel = channels_.Get(probe.target.second);
  probe.deadline = std::chrono::system_clock::now() + kTimeout;
  probe.readiness.set_deadline(probe.deadline);
  probe.ready_request.set_name(probe.vertex.model);
  probe.ready_request.set_version(probe.vertex.number);
  probe.inference = inference::GRPCInferenceService::NewStub(probe.channel);
  probe.inference->async()->ModelReady(
      &probe.readiness, &probe.ready_request, &probe.ready_response,
      [this, raw = &probe](const grpc::Status& status) {
        // A service of few methods answers, if not this.
        const bool says = status.error_code() != grpc::StatusCode::UNIMPLEMENTED;
        if (!status.ok() && says) return End(*raw, runtime::FromGrpcStatus(status));
        if (says && !raw->ready_response.ready()) {
          return End(*raw, absl::UnavailableError("it says that it is not ready"));
        }
        if (raw->vertex.wanted.digest.empty()) return End(*raw, absl::OkStatus());
        AskForDigest(*raw);
      });
}

void VertexProber::AskForDigest(Probe& probe) {
  probe.description.set_deadline(probe.deadline);
  probe.version_request.set_name(probe.vertex.wanted.version);
  probe.service = v1::ModelService::NewStub(probe.channel);
  probe.service->async()->GetVersion(
      &probe.description, &probe.version_request, &probe.version,
      [this, raw = &probe](const grpc::Status& status) {
        const bool lists = status.error_code() != grpc::StatusCode::UNIMPLEMENTED;
        if (!status.ok() && lists) return End(*raw, runtime::FromGrpcStatus(status));
        const std::string& digest = raw->version.digest();
        if (lists && digest != raw->vertex.wanted.digest) {
          return End(*raw, absl::DataLossError(absl::StrCat(
                               "it has other weights by that name (digest ", digest,
                               ") than the release was made of (", raw->vertex.wanted.digest,
                               "): its data directory was lost or replaced")));
        }
        End(*raw, absl::OkStatus());
      });
}

void VertexProber::End(Probe& probe, const absl::Status& status) {
  MutexLock lock(mutex_);
  readiness_.Probed(probe.target.first, probe.vertex.wanted, probe.target.second, status,
                    Clock::now());
  if (const auto target = targets_.find(probe.target);
      target != targets_.end() && target->second.in_flight == &probe) {
    target->second.in_flight = nullptr;
  }
  // Its contexts outlive their calls, which have ended.
  probes_.erase(&probe);
  news_ = true;
  wake_.NotifyAll();
}

void VertexProber::Publish() {
  Faults faults;
  {
    MutexLock lock(mutex_);
    faults = readiness_.Faults(Clock::now());
  }
  if (faults == published_) return;
  published_ = std::move(faults);
  changed_(published_);
}

void VertexProber::WaitForWork() {
  MutexLock lock(mutex_);
  const Clock::time_point now = Clock::now();
  Clock::time_point next = now + kInterval;
  if (const auto expiry = readiness_.NextExpiry(now); expiry.has_value()) {
    next = std::min(next, *expiry);
  }
  for (const auto& [target, scheduled] : targets_) {
    if (scheduled.in_flight == nullptr) next = std::min(next, scheduled.next);
  }
  // Of a name that nobody has asked for yet.
  if (targets_.size() < vertices_.size()) next = std::min(next, now + kNameInterval);
  while (!news_ && !stopping_ && Clock::now() < next) wake_.WaitUntil(mutex_, next);
}

}  // namespace backfire::gateway
