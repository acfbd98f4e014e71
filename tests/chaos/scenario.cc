#include "tests/chaos/scenario.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/inference_tensor.h"
#include "tests/support/child_process.h"

namespace backfire::chaos {
namespace {

using std::chrono::steady_clock;
using Stub = v1::Orchestrator::Stub;

// Calls the run's servers again and again, as they come and go.
class Client {
 public:
  Client(MeshRun& run, double patience_seconds)
      : run_(run),
        patience_(std::chrono::duration_cast<steady_clock::duration>(
            std::chrono::duration<double>(patience_seconds))),
        stub_(v1::Orchestrator::NewStub(runtime::MakeChannel(run.orchestrator()))) {}

  // Calls until it is answered by something else than the server's being away.
  template <typename Service, typename Request, typename Response>
  absl::Status CallOn(Service& stub,
                      grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                      const Request& request, Response& response) const {
    const auto give_up = steady_clock::now() + patience_;
    while (true) {
      BACKFIRE_RETURN_IF_ERROR(run_.fault());
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      runtime::SetDeadline(context, absl::Seconds(10));
      const absl::Status status =
          runtime::FromGrpcStatus((stub.*method)(&context, request, &response));
      const bool away = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
                        absl::IsCancelled(status);
      if (!away || steady_clock::now() > give_up) return status;
    }
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) const {
    Response response;
    BACKFIRE_RETURN_IF_ERROR(CallOn(*stub_, method, request, response));
    return response;
  }

  // The update once it is decided or has ended.
  absl::StatusOr<v1::Update> WaitForEnd(const std::string& name) const {
    v1::WatchUpdateRequest request;
    request.set_name(name);
    auto last_news = steady_clock::now();
    v1::Update update;
    while (steady_clock::now() < last_news + patience_) {
      BACKFIRE_RETURN_IF_ERROR(run_.fault());
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      runtime::SetDeadline(context, absl::Seconds(10));
      const auto reader = stub_->WatchUpdate(&context, request);
      while (reader->Read(&update)) last_news = steady_clock::now();
      if (reader->Finish().ok()) return update;
    }
    return absl::DeadlineExceededError(
        absl::StrCat(name, " made no progress; it is ", v1::Update::State_Name(update.state())));
  }

 private:
  MeshRun& run_;
  const steady_clock::duration patience_;
  const std::unique_ptr<Stub> stub_;
};

// One number wherever any number goes, so that requests can be made up for small systems.
absl::StatusOr<inference::ModelInferRequest> MakeUpRequest(const v1::System& system) {
  inference::ModelInferRequest request;
  request.set_model_name(system.name());
  for (const v1::TensorSignature& tensor : system.request()) {
    std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
    for (int64_t& size : shape) size = size < 0 ? 1 : size;
    runtime::Tensor made;
    if (tensor.datatype() == "FP64") {
      made = runtime::MakeTensor(runtime::Datatype::kFp64, shape);
      std::fill_n(made.MutableAs<double>(), made.ElementCount(), 0.5);
    } else if (tensor.datatype() == "FP32") {
      made = runtime::MakeTensor(runtime::Datatype::kFp32, shape);
      std::fill_n(made.MutableAs<float>(), made.ElementCount(), 0.5f);
    } else {
      return absl::UnimplementedError(
          absl::StrCat("tensor ", tensor.name(), " is ", tensor.datatype()));
    }
    runtime::AddInput(tensor.name(), std::move(made), request);
  }
  return request;
}

// Requests one after another, each until it is answered.
class Traffic {
 public:
  Traffic(MeshRun& run, inference::ModelInferRequest request)
      : run_(run), request_(std::move(request)), thread_([this] { Send(); }) {}
  // Goes on to at least `requests`, then ends.
  void Finish(int requests, ScenarioResult& result) {
    least_ = requests;
    stop_ = true;
    thread_.join();
    result.responses = responses_;
    result.lost = lost_;
    result.mixed = mixed_;
  }

 private:
  void Send() {
    const auto stub =
        inference::GRPCInferenceService::NewStub(runtime::MakeChannel(run_.gateway()));
    // Release -> what every response of it must look like: versions and outputs.
    std::map<int64_t, std::string> looks;
    while ((!stop_ || responses_ < least_) && run_.fault().ok()) {
      request_.set_id(absl::StrCat("request-", responses_ + 1));
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      runtime::SetDeadline(context, absl::Seconds(10));
      inference::ModelInferResponse response;
      const grpc::Status status = stub->ModelInfer(&context, request_, &response);
      if (!status.ok()) {
        ++lost_;
        // Refusals at once, as before the first release, need no answer at once.
        runtime::WaitUnlessCancelled(std::chrono::milliseconds(10), [] { return false; });
        continue;
      }
      ++responses_;
      std::map<std::string, std::string> facts;
      for (const auto& [name, parameter] : response.parameters()) {
        facts[name] = absl::StrCat(parameter.int64_param());
      }
      for (int i = 0; i < response.outputs_size(); ++i) {
        facts[response.outputs(i).name()] = response.raw_output_contents(i);
      }
      const std::string look = absl::StrJoin(facts, "\n", absl::PairFormatter("="));
      const int64_t release = response.parameters().at("release").int64_param();
      const auto [known, added] = looks.emplace(release, look);
      if (!added && known->second != look)
        mixed_.push_back(absl::StrCat(request_.id(), ": ", look));
    }
  }

  MeshRun& run_;
  inference::ModelInferRequest request_;
  std::atomic<bool> stop_{false};
  std::atomic<int> least_{0};
  std::atomic<int> responses_{0};
  int lost_ = 0;
  std::vector<std::string> mixed_;
  std::thread thread_;
};

absl::Status Drive(MeshRun& run, const ScenarioOptions& options, const Client& client,
                   ScenarioResult& result) {
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = run.system();
  apply.set_request_id("apply");
  BACKFIRE_ASSIGN_OR_RETURN(const auto applied, client.Call(&Stub::ApplySystem, apply));
  BACKFIRE_ASSIGN_OR_RETURN(result.baseline, client.WaitForEnd(applied.update()));
  if (result.baseline.state() != v1::Update::PROMOTED) {
    return absl::InternalError(absl::StrCat("the baseline: ", result.baseline.error_message()));
  }
  v1::ProposeUpdateRequest propose;
  propose.set_request_id("propose");
  propose.set_vertex(options.vertex);
  *propose.mutable_recipe() = options.recipe;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update proposed, client.Call(&Stub::ProposeUpdate, propose));
  BACKFIRE_ASSIGN_OR_RETURN(result.update, client.WaitForEnd(proposed.name()));
  if (result.update.state() != v1::Update::DECIDED) {
    return absl::InternalError(absl::StrCat("the update: ", result.update.error_message()));
  }
  if (options.kill_idle) {
    for (const std::string& process : run.processes()) {
      const int before = run.deaths().at(process);
      run.Kill(process);
      while (run.deaths().at(process) == before) {
        BACKFIRE_RETURN_IF_ERROR(run.fault());
        std::this_thread::yield();
      }
    }
  }
  v1::PromoteUpdateRequest promote;
  promote.set_name(proposed.name());
  promote.set_override(true);
  promote.set_reason("chaos");
  promote.set_request_id("promote");
  BACKFIRE_ASSIGN_OR_RETURN(result.promoted, client.Call(&Stub::PromoteUpdate, promote));
  v1::RollbackReleaseRequest rollback;
  rollback.set_name("releases/1");
  rollback.set_reason("chaos");
  rollback.set_request_id("rollback");
  BACKFIRE_RETURN_IF_ERROR(client.Call(&Stub::RollbackRelease, rollback).status());
  std::map<std::string, std::set<std::string>> models;  // By endpoint.
  for (const v1::Vertex& vertex : run.system().vertices()) {
    models[vertex.endpoint()].insert(
        absl::StrCat("models/", vertex.model().empty() ? vertex.name() : vertex.model()));
  }
  for (const auto& [endpoint, names] : models) {
    const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(endpoint));
    for (const std::string& name : names) {
      v1::ListVersionsRequest list;
      list.set_model(name);
      list.set_page_size(1000);
      v1::ListVersionsResponse versions;
      BACKFIRE_RETURN_IF_ERROR(
          client.CallOn(*stub, &v1::ModelService::Stub::ListVersions, list, versions));
      for (const v1::Version& version : versions.versions()) {
        result.versions[name].push_back(version.digest());
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ScenarioResult> RunScenario(MeshRun& run, const ScenarioOptions& options) {
  const Client client(run, options.patience_seconds);
  ScenarioResult result;
  const auto request = MakeUpRequest(run.system());
  result.has_traffic = request.ok();
  std::unique_ptr<Traffic> traffic;
  if (request.ok()) traffic = std::make_unique<Traffic>(run, *request);
  const absl::Status driven = Drive(run, options, client, result);
  if (traffic != nullptr) traffic->Finish(driven.ok() ? options.requests : 0, result);
  BACKFIRE_RETURN_IF_ERROR(driven);
  BACKFIRE_RETURN_IF_ERROR(run.fault());
  return result;
}

}  // namespace backfire::chaos
