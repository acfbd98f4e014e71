#include "services/gateway/graph_runner.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "inference/open_inference.grpc.pb.h"
#include "services/gateway/release_view.h"
#include "tests/support/temporary_directory.h"

namespace backfire::gateway {
namespace {

using ::testing::HasSubstr;

// Answers `y` = `x`, whatever the model.
class Echo final : public inference::GRPCInferenceService::Service {
 public:
  grpc::Status ModelInfer(grpc::ServerContext*, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override {
    auto* output = response->add_outputs();
    output->set_name("y");
    output->set_datatype(request->inputs(0).datatype());
    *output->mutable_shape() = request->inputs(0).shape();
    *response->mutable_raw_output_contents() = request->raw_input_contents();
    return grpc::Status::OK;
  }
};

// One vertex, served at two places.
class GraphRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
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
    ASSERT_TRUE(view.ok()) << view.status();
    view_ = *view;
    services_.took = [](const std::string&, double) {};
    services_.sent_again = [this](const std::string&) { ++sent_again_; };
  }
  std::string Target(const std::string& name) const {
    return "unix:" + (directory_ / name).string();
  }
  void Serve(const std::string& name) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(Target(name), grpc::InsecureServerCredentials());
    builder.RegisterService(&echo_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  absl::Status Run() {
    runtime::InferenceCall call;
    call.id = "test";
    call.deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    call.cancelled = [this] { return cancelled_; };
    runtime::TensorMap request;
    request["x"] = runtime::MakeTensor(runtime::Datatype::kFp64, {1});
    return RunGraph(*view_, 1, {{"y", view_->graph.outputs().at("y")}}, std::move(request), call,
                    services_)
        .status();
  }

  testing::TemporaryDirectory directory_;
  Echo echo_;
  std::shared_ptr<const ReleaseView> view_;
  VertexServices services_;
  bool cancelled_ = false;
  int sent_again_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GraphRunnerTest, SendsToAnotherWhatOneThatIsAwayCannotServe) {
  Serve("replica");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(sent_again_, 1);
}

// Channels pause between attempts to connect, and refuse calls for a moment after it is back.
TEST_F(GraphRunnerTest, FindsAProcessThatHasJustComeBack) {
  for (int restart = 0; restart < 2; ++restart) {
    const absl::Status away = Run();
    EXPECT_TRUE(absl::IsUnavailable(away)) << away;
    EXPECT_THAT(std::string(away.message()), HasSubstr("vertex v at unix:"));
    Serve("primary");
    const absl::Status back = Run();
    EXPECT_TRUE(back.ok()) << back;
    server_.reset();
  }
}

TEST_F(GraphRunnerTest, AClientThatGoesEndsTheWait) {
  cancelled_ = true;
  EXPECT_FALSE(Run().ok());
}

}  // namespace
}  // namespace backfire::gateway
