#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backfire/v1/model_service.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/inference_tensor.h"
#include "services/runtime/recipe.h"

namespace backfire::testing {

/// Talks to a service of toy models (toy_models.h); each call waits at most a minute, if not told
/// otherwise.
class ToyClient {
 public:
  explicit ToyClient(const std::string& target)
      : target_(target),
        models_(v1::ModelService::NewStub(runtime::MakeChannel(target))),
        inference_(inference::GRPCInferenceService::NewStub(runtime::MakeChannel(target))) {}

  const std::string& target() const { return target_; }

  /// Calls a method of ModelService.
  template <typename Response, typename Request>
  absl::StatusOr<Response> Call(grpc::Status (v1::ModelService::Stub::*method)(grpc::ClientContext*,
                                                                               const Request&,
                                                                               Response*),
                                const Request& request) {
    return runtime::UnaryCall(*models_, method, request, absl::Minutes(1));
  }

  /// Follows a job to its end. Without one if the service goes away.
  absl::StatusOr<v1::Job> Wait(const std::string& job) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::WatchJobRequest request;
    request.set_name(job);
    const auto reader = models_->WatchJob(&context, request);
    v1::Job last;
    while (reader->Read(&last)) {
    }
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return runtime::FromGrpcStatus(status);
    return last;
  }

  static v1::TrainRequest TrainRequest(const std::string& id, const std::string& model,
                                       double offset = 0, double seconds = 0) {
    v1::TrainRequest request;
    request.set_request_id(id);
    request.set_model("models/" + model);
    request.mutable_recipe()->set_name("least-squares");
    runtime::SetParameter(*request.mutable_recipe(), "offset", offset);
    runtime::SetParameter(*request.mutable_recipe(), "seconds_of_work", seconds);
    request.mutable_dataset()->set_uri("toy:50");
    return request;
  }

  static v1::EvaluateRequest EvaluateRequest(const std::string& id, const std::string& version) {
    v1::EvaluateRequest request;
    request.set_request_id(id);
    request.set_version(version);
    request.mutable_dataset()->set_uri("toy:50");
    request.set_split("test");
    request.mutable_bootstrap()->set_resample_count(3);
    return request;
  }

  /// What feeds `second`'s input: the output of a version of `first`.
  static v1::Parent ParentOf(const v1::Version& first) {
    v1::Parent parent;
    parent.set_input("y");
    parent.set_output("y");
    parent.set_version(first.name());
    parent.set_digest(first.digest());
    return parent;
  }

  absl::StatusOr<v1::Job> Train(const v1::TrainRequest& request) {
    const auto job = Call(&v1::ModelService::Stub::Train, request);
    return job.ok() ? Wait(job->name()) : job;
  }
  absl::StatusOr<v1::Job> Evaluate(const v1::EvaluateRequest& request) {
    const auto job = Call(&v1::ModelService::Stub::Evaluate, request);
    return job.ok() ? Wait(job->name()) : job;
  }
  absl::Status Load(const std::string& version) {
    v1::LoadVersionRequest request;
    request.set_name(version);
    return Call(&v1::ModelService::Stub::LoadVersion, request).status();
  }
  absl::Status Unload(const std::string& version) {
    v1::UnloadVersionRequest request;
    request.set_name(version);
    return Call(&v1::ModelService::Stub::UnloadVersion, request).status();
  }

  /// Sends one number to a model; its response, as it came.
  absl::StatusOr<inference::ModelInferResponse> Infer(const std::string& model,
                                                      const std::string& version,
                                                      const std::string& input, double x,
                                                      double seconds = 60) {
    inference::ModelInferRequest request;
    request.set_model_name(model);
    request.set_model_version(version);
    request.set_id("test");
    runtime::Tensor tensor = runtime::MakeTensor(runtime::Datatype::kFp64, {1});
    *tensor.MutableAs<double>() = x;
    runtime::AddInput(input, std::move(tensor), request);
    return runtime::UnaryCall(*inference_, &inference::GRPCInferenceService::Stub::ModelInfer,
                              request, absl::Seconds(seconds));
  }
  /// The one number in a response.
  static double Number(const inference::ModelInferResponse& response) {
    double number = 0;
    if (response.raw_output_contents_size() == 1 &&
        response.raw_output_contents(0).size() == sizeof(number)) {
      std::memcpy(&number, response.raw_output_contents(0).data(), sizeof(number));
    }
    return number;
  }

 private:
  const std::string target_;
  const std::unique_ptr<v1::ModelService::Stub> models_;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> inference_;
};

}  // namespace backfire::testing
