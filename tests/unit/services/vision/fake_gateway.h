#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/open_inference.grpc.pb.h"

namespace backfire::vision {

/// A gateway that serves one stereo system: real protocol and server, invented answers. It finds a
/// car 12 m ahead and nobody on foot, whatever it is shown.
class FakeGateway : public inference::GRPCInferenceService::Service {
 public:
  FakeGateway() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("localhost:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(64 << 20);
    server_ = builder.BuildAndStart();
  }
  ~FakeGateway() override { server_->Shutdown(); }

  std::string target() const { return "localhost:" + std::to_string(port_); }
  const std::vector<inference::ModelInferRequest>& requests() const { return requests_; }

  /// Called on every answer before it is sent: to make it wrong.
  std::function<void(inference::ModelInferResponse&)> spoil;
  /// Answered instead, unless OK.
  grpc::Status refusal;

  grpc::Status ModelInfer(grpc::ServerContext*, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override {
    requests_.push_back(*request);
    if (!refusal.ok()) return refusal;
    const int64_t height = request->inputs(0).shape(0), width = request->inputs(0).shape(1);
    response->set_model_name(request->model_name());
    response->set_model_version(request->model_version().empty() ? "7" : request->model_version());
    for (const auto& wanted : request->outputs()) {
      if (wanted.name() == "disparity") {
        Add(*response, "disparity", {height, width},
            std::vector<float>(static_cast<size_t>(height * width), 4.5f));
      } else if (wanted.name() == "points") {
        Add(*response, "points", {2, 3}, {0, 1.6f, 12, 1, 0.5f, 14});
      } else if (wanted.name() == "cars") {
        Add(*response, "cars", {1, 12},
            {100, 50, 140, 90, 1.5f, 1.6f, 3.9f, -1, 1.65f, 12, -1.57f, 0.75f});
      } else if (wanted.name() == "pedestrians") {
        Add(*response, "pedestrians", {0, 12}, {});
      } else if (wanted.name() == "boxes_2d") {
        Add(*response, "boxes_2d", {1, 6}, {100, 50, 140, 90, 0.8f, 0});
      } else if (wanted.name() == "detections") {  // It is also a detector.
        Add(*response, "detections", {1, 12},
            {100, 50, 140, 90, 1.5f, 1.6f, 3.9f, 2, 1.65f, 20, -1.57f, 0.5f});
      }
    }
    if (spoil) spoil(*response);
    return grpc::Status::OK;
  }

 private:
  static void Add(inference::ModelInferResponse& response, const std::string& name,
                  const std::vector<int64_t>& shape, const std::vector<float>& values) {
    auto& output = *response.add_outputs();
    output.set_name(name);
    output.set_datatype("FP32");
    for (const int64_t size : shape) output.add_shape(size);
    response.add_raw_output_contents(
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::vector<inference::ModelInferRequest> requests_;  // Calls come one after the other.
};

}  // namespace backfire::vision
