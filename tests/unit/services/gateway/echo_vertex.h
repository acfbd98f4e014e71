#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "inference/open_inference.grpc.pb.h"
#include "services/gateway/release_view.h"
#include "tests/support/temporary_directory.h"

namespace backfire::gateway {

/// A release of one vertex, `v`, that is served at two places: unix sockets `primary` and
/// `replica`.
class EchoVertex {
 public:
  /// Answers `y` = `x`, whatever the model, or refuses; has nothing else of the protocol.
  class Service final : public inference::GRPCInferenceService::Service {
   public:
    explicit Service(std::function<grpc::Status()> refusal = [] { return grpc::Status::OK; })
        : refusal_(std::move(refusal)) {}
    grpc::Status ModelInfer(grpc::ServerContext*, const inference::ModelInferRequest* request,
                            inference::ModelInferResponse* response) override {
      if (grpc::Status refusal = refusal_(); !refusal.ok()) return refusal;
      auto* output = response->add_outputs();
      output->set_name("y");
      output->set_datatype(request->inputs(0).datatype());
      *output->mutable_shape() = request->inputs(0).shape();
      *response->mutable_raw_output_contents() = request->raw_input_contents();
      return grpc::Status::OK;
    }

   private:
    const std::function<grpc::Status()> refusal_;
  };

  std::string Target(const std::string& name) const {
    return "unix:" + (directory_ / name).string();
  }

  std::shared_ptr<const ReleaseView> View() const {
    v1::ReleaseSnapshot snapshot;
    v1::System& system = *snapshot.mutable_system();
    system.set_name("echo");
    system.set_dataset("none:");
    system.set_replicates(1);
    auto* x = system.add_request();
    x->set_name("x");
    x->set_datatype("FP64");
    x->add_shape(1);
    v1::Vertex* vertex = system.add_vertices();
    vertex->set_name("v");
    vertex->set_endpoint(Target("primary"));
    vertex->add_replicas(Target("replica"));
    vertex->set_model("echo");
    vertex->mutable_recipe()->set_name("none");
    (*vertex->mutable_inputs())["x"] = "request.x";
    (*system.mutable_outputs())["y"] = "v.y";
    (*snapshot.mutable_models())["v"].set_name("models/echo");
    v1::Release& release = *snapshot.add_releases();
    release.set_name("releases/1");
    (*release.mutable_versions())["v"] = "models/echo/versions/1";
    snapshot.set_live(1);
    const auto view = MakeReleaseView(snapshot);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.value_or(nullptr);
  }

  /// Serves at one of the places, until the server goes.
  std::unique_ptr<grpc::Server> Serve(const std::string& name) { return Serve(name, service_); }
  std::unique_ptr<grpc::Server> Serve(const std::string& name, Service& service) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(Target(name), grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    EXPECT_NE(server, nullptr);
    return server;
  }

 private:
  testing::TemporaryDirectory directory_;
  Service service_;
};

}  // namespace backfire::gateway
