#include "services/gateway/graph_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/gateway/echo_vertex.h"

namespace backfire::gateway {
namespace {

using ::testing::HasSubstr;

class GraphRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(view_, nullptr);
    services_.took = [](const std::string&, double) {};
    services_.sent_again = [this](const std::string&) { ++sent_again_; };
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

  EchoVertex vertex_;
  const std::shared_ptr<const ReleaseView> view_ = vertex_.View();
  VertexServices services_;
  bool cancelled_ = false;
  int sent_again_ = 0;
};

TEST_F(GraphRunnerTest, SendsToAnotherWhatOneThatIsAwayCannotServe) {
  const auto server = vertex_.Serve("replica");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(sent_again_, 1);
}

// Channels pause between attempts to connect, and refuse calls for a moment after it is back.
TEST_F(GraphRunnerTest, FindsAProcessThatHasJustComeBack) {
  for (int restart = 0; restart < 2; ++restart) {
    const absl::Status away = Run();
    EXPECT_TRUE(absl::IsUnavailable(away)) << away;
    EXPECT_THAT(std::string(away.message()), HasSubstr("vertex v at unix:"));
    const auto server = vertex_.Serve("primary");
    const absl::Status back = Run();
    EXPECT_TRUE(back.ok()) << back;
  }
}

// A replica that has started anew is there, and has no versions yet.
TEST_F(GraphRunnerTest, WaitsForAProcessThatComesBackThoughAnotherOneAnswers) {
  std::unique_ptr<grpc::Server> primary;
  EchoVertex::Service empty([&] {
    primary = vertex_.Serve("primary");
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "version 1 is not loaded");
  });
  const auto replica = vertex_.Serve("replica", empty);
  const absl::Status answered = Run();
  EXPECT_TRUE(answered.ok()) << answered;
  EXPECT_EQ(sent_again_, 2);
}

TEST_F(GraphRunnerTest, AClientThatGoesEndsTheWait) {
  cancelled_ = true;
  EXPECT_FALSE(Run().ok());
}

}  // namespace
}  // namespace backfire::gateway
