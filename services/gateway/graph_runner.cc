#include "services/gateway/graph_runner.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/base/crash_point.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"

namespace backfire::gateway {
namespace {

using graph::Source;
using runtime::Tensor;
using runtime::TensorMap;
using std::chrono::steady_clock;

// What a call waits for an endpoint to come back, where all are away. A process that restarts is
// refused for a moment longer than it is away, by channels that pause between attempts to connect.
constexpr std::chrono::seconds kPatience(5);

// A request for a vertex, and where it was sent last.
struct VertexCall {
  inference::ModelInferRequest request;
  std::vector<std::string> endpoints;
  std::set<std::string> tried;
  std::vector<std::string> away;  // Those of the tried that could not be reached.
  bool waited = false;            // For one of the endpoints to come back.
  std::string endpoint;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;
  inference::ModelInferResponse response;
  grpc::Status status;
  steady_clock::time_point start;
  steady_clock::time_point end;
};

// Whether another replica may serve what this one could not: it is away or ends, lacks the version,
// is full, or is broken. Inference changes nothing: it may be done twice.
bool MayBeServedElsewhere(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsNotFound(status) || absl::IsCancelled(status) ||
         absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsUnknown(status) ||
         absl::IsDataLoss(status);
}

class Run {
 public:
  Run(const ReleaseView& view, int64_t release, const std::map<std::string, Source>& outputs,
      TensorMap request, const runtime::InferenceCall& call, VertexServices& services)
      : view_(view),
        versions_(view.releases.at(release)),
        digests_(view.digests.at(release)),
        outputs_(outputs),
        call_(call),
        services_(services) {
    tensors_[""] = std::move(request);
    std::set<std::string> vertices;
    for (const auto& [name, source] : outputs) {
      ++uses_[{source.vertex, source.tensor}];
      if (!source.from_request()) vertices.insert(source.vertex);
    }
    for (const std::string& vertex : view.graph.WithAncestors(vertices)) {
      waiting_.insert(vertex);
      for (const auto& [input, source] : view.graph.node(vertex).inputs) {
        ++uses_[{source.vertex, source.tensor}];
      }
    }
  }

  absl::StatusOr<TensorMap> Execute() {
    absl::Status status = StartReady();
    while (!calls_.empty()) {
      const std::string vertex = WaitForOne();
      // Once one has failed the others' results are of no use, but their calls must end.
      const absl::Status finished = Finish(vertex, /*retry=*/status.ok());
      if (status.ok()) status = finished;
      if (status.ok()) status = StartReady();
      if (!status.ok()) CancelAll();
    }
    BACKFIRE_RETURN_IF_ERROR(status);
    TensorMap outputs;
    for (const auto& [name, source] : outputs_) {
      BACKFIRE_ASSIGN_OR_RETURN(outputs[name], Use(source));
    }
    return outputs;
  }

 private:
  // A tensor for one of its users: copied, but for the last of them.
  absl::StatusOr<Tensor> Use(const Source& source) {
    TensorMap& tensors = tensors_[source.vertex];
    const auto found = tensors.find(source.tensor);
    if (found == tensors.end()) {
      return absl::InternalError(
          absl::StrCat("vertex ", source.vertex, " gave no output \"", source.tensor, "\""));
    }
    if (--uses_.at({source.vertex, source.tensor}) > 0) return found->second;
    Tensor tensor = std::move(found->second);
    tensors.erase(found);
    return tensor;
  }

  absl::Status StartReady() {
    std::set<std::string> ready;
    for (const std::string& vertex : waiting_) {
      const auto& parents = view_.graph.node(vertex).parents;
      if (std::all_of(parents.begin(), parents.end(),
                      [&](const auto& parent) { return done_.count(parent) > 0; })) {
        ready.insert(vertex);
      }
    }
    for (const std::string& vertex : ready) {
      waiting_.erase(vertex);
      BACKFIRE_RETURN_IF_ERROR(Start(vertex));
    }
    return absl::OkStatus();
  }

  absl::Status Start(const std::string& vertex) {
    const graph::SystemGraph::Node& node = view_.graph.node(vertex);
    auto call = std::make_unique<VertexCall>();
    call->request.set_model_name(node.model_name.substr(node.model_name.find('/') + 1));
    call->request.set_model_version(absl::StrCat(versions_.at(vertex)));
    call->request.set_id(call_.id);
    for (const auto& [input, source] : node.inputs) {
      BACKFIRE_ASSIGN_OR_RETURN(Tensor tensor, Use(source));
      runtime::AddInput(input, std::move(tensor), call->request);
    }
    for (const auto& [used, count] : uses_) {
      if (used.first == vertex) call->request.add_outputs()->set_name(used.second);
    }
    call->endpoints = services_.names.Expand(graph::ServingEndpoints(node.vertex));
    CrashPoint("vertex-call", call_.id, " ", vertex);
    Send(vertex, *call);
    calls_[vertex] = std::move(call);
    return absl::OkStatus();
  }

  // Sends a call to an endpoint that it was not sent to yet. False: there is none.
  bool Send(const std::string& vertex, VertexCall& call) {
    call.start = steady_clock::now();
    const std::string endpoint = services_.balancer.Begin(call.endpoints, call.tried, call.start);
    if (endpoint.empty()) return false;
    call.endpoint = endpoint;
    call.tried.insert(endpoint);
    call.context = std::make_unique<grpc::ClientContext>();
    runtime::SetDeadline(*call.context, absl::FromChrono(call_.deadline - call.start));
    call.stub = inference::GRPCInferenceService::NewStub(services_.channels.Get(endpoint));
    call.response.Clear();
    call.stub->async()->ModelInfer(call.context.get(), &call.request, &call.response,
                                   [this, vertex, raw = &call](grpc::Status status) {
                                     raw->end = steady_clock::now();
                                     raw->status = std::move(status);
                                     MutexLock lock(mutex_);
                                     ended_.insert(vertex);
                                     changed_.NotifyAll();
                                   });
    return true;
  }

  // Sends a call that failed to another endpoint; once all were tried, to the first that comes back
  // of those that were away. The others may have been there and served nothing: a replica that
  // started anew has no versions yet.
  bool SendAgain(const std::string& vertex, const absl::Status& failure, VertexCall& call) {
    if (called_off_ || call_.cancelled()) return false;
    if (absl::IsUnavailable(failure)) call.away.push_back(call.endpoint);
    if (Send(vertex, call)) return true;
    if (call.waited || !services_.balancer.MayReturn(call.away, call.end)) return false;
    call.waited = true;
    const std::string back = WaitForReturn(call.away);
    if (back.empty()) return false;
    call.tried.erase(back);
    return Send(vertex, call);
  }

  // The first endpoint that can be connected to; empty: none within kPatience.
  std::string WaitForReturn(const std::vector<std::string>& endpoints) {
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (const std::string& endpoint : endpoints) {
      channels.push_back(services_.channels.Get(endpoint));
      grpc::experimental::ChannelResetConnectionBackoff(channels.back().get());
    }
    const auto until = std::min(steady_clock::now() + kPatience, call_.deadline);
    while (!channels.empty() && steady_clock::now() < until && !call_.cancelled()) {
      for (size_t i = 0; i < channels.size(); ++i) {
        if (channels[i]->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY) {
          return endpoints[i];
        }
      }
      channels.front()->WaitForStateChange(
          channels.front()->GetState(false),
          std::chrono::system_clock::now() + std::chrono::milliseconds(20));
    }
    return "";
  }

  std::string WaitForOne() {
    MutexLock lock(mutex_);
    while (ended_.empty()) {
      // Bounded, so that a client that went away ends its vertices' calls.
      changed_.WaitUntil(mutex_, steady_clock::now() + std::chrono::milliseconds(50));
      if (call_.cancelled()) CancelAll();
    }
    return *ended_.begin();
  }

  // Takes what a call gave, or, with `retry`, sends it to another endpoint.
  absl::Status Finish(const std::string& vertex, bool retry) {
    {
      MutexLock lock(mutex_);
      ended_.erase(vertex);
    }
    std::unique_ptr<VertexCall> call = std::move(calls_.at(vertex));
    calls_.erase(vertex);
    services_.took(vertex, std::chrono::duration<double>(call->end - call->start).count());
    const std::string where = absl::StrCat("vertex ", vertex, " at ", call->endpoint);
    absl::Status status = runtime::FromGrpcStatus(call->status);
    if (status.ok()) status = CheckDigest(vertex, call->response);
    const bool elsewhere = MayBeServedElsewhere(status);
    using Outcome = ReplicaBalancer::Outcome;
    services_.balancer.End(call->endpoint,
                           called_off_ && absl::IsCancelled(status)        ? Outcome::kUnknown
                           : elsewhere || absl::IsDeadlineExceeded(status) ? Outcome::kFailed
                                                                           : Outcome::kServed,
                           call->end);
    if (elsewhere && retry && SendAgain(vertex, status, *call)) {
      spdlog::info("vertex state=SENT_AGAIN id={} vertex={} to={} error=\"{}\"", call_.id, vertex,
                   call->endpoint, std::string(Annotate(status, where).message()));
      services_.sent_again(vertex);
      calls_[vertex] = std::move(call);
      return absl::OkStatus();
    }
    if (absl::IsNotFound(status)) {
      // The caller named a release, not this version: to it the release can't be served.
      status = absl::UnavailableError(status.message());
    }
    BACKFIRE_RETURN_IF_ERROR(Annotate(status, where));
    absl::StatusOr<TensorMap> outputs = runtime::TakeOutputs(call->response);
    if (!outputs.ok()) return Annotate(outputs.status(), where);
    tensors_[vertex] = *std::move(outputs);
    done_.insert(vertex);
    return absl::OkStatus();
  }

  // A version's name says which it is only as long as its service keeps its data directory. What
  // answers by that name must be what the release was made of; services may leave out saying it.
  absl::Status CheckDigest(const std::string& vertex,
                           const inference::ModelInferResponse& response) const {
    const auto expected = digests_.find(vertex);
    const auto said = response.parameters().find(runtime::kVersionDigest);
    if (expected == digests_.end() || said == response.parameters().end() ||
        said->second.string_param() == expected->second) {
      return absl::OkStatus();
    }
    return absl::DataLossError(absl::StrCat(
        "it answers as version ", versions_.at(vertex), " with another content (digest ",
        said->second.string_param(), ") than the release was made of (", expected->second,
        "): its data directory was lost or replaced; restore it, or apply the system with another "
        "seed"));
  }

  void CancelAll() {
    called_off_ = true;
    for (const auto& [vertex, call] : calls_) call->context->TryCancel();
  }

  const ReleaseView& view_;
  const std::map<std::string, int64_t>& versions_;
  const std::map<std::string, std::string>& digests_;
  const std::map<std::string, Source>& outputs_;
  const runtime::InferenceCall& call_;
  VertexServices& services_;
  // Owned by the request's thread.
  std::map<std::string, TensorMap> tensors_;  // By vertex; "": the request's.
  std::map<std::pair<std::string, std::string>, int> uses_;
  std::set<std::string> waiting_;
  std::set<std::string> done_;
  bool called_off_ = false;  // Calls were cancelled from here.
  std::map<std::string, std::unique_ptr<VertexCall>> calls_;
  // Shared with gRPC's threads.
  Mutex mutex_;
  CondVar changed_;
  std::set<std::string> ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<TensorMap> RunGraph(const ReleaseView& view, int64_t release,
                                   const std::map<std::string, Source>& outputs, TensorMap request,
                                   const runtime::InferenceCall& call, VertexServices& services) {
  return Run(view, release, outputs, std::move(request), call, services).Execute();
}

}  // namespace backfire::gateway
