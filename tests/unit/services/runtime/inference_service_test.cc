// Limits of requests: what they may take before they run.
#include "services/runtime/inference_service.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

// A model of one input, `x`, whose elements take a thousand bytes each. It runs until it is let go.
class Greedy final : public InferenceTarget, public InferenceBackend {
 public:
  Greedy() {
    v1::TensorSignature& x = *signature_.Add();
    x.set_name("x");
    x.set_datatype("UINT8");
    x.add_shape(-1);
  }
  int64_t version() const override { return 1; }
  const TensorSignatures& inputs() const override { return signature_; }
  const TensorSignatures& outputs() const override { return signature_; }
  int64_t PeakBytes(const TensorMap& inputs) const override {
    return 1000 * inputs.at("x").ElementCount();
  }
  absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>&,
                                  InferenceCall&) const override {
    std::unique_lock<std::mutex> lock(mutex_);
    ++running_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return let_go_; });
    return inputs;
  }
  absl::Status Ready() const override { return absl::OkStatus(); }
  std::vector<std::string> Models() const override { return {"greedy"}; }
  absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(
      const std::string&, std::optional<int64_t>) const override {
    return std::shared_ptr<const InferenceTarget>(std::shared_ptr<void>(), this);
  }
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string&) const override {
    return std::vector<int64_t>{1};
  }
  void WaitForOne() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return running_ > 0; });
  }
  void LetGo() {
    std::unique_lock<std::mutex> lock(mutex_);
    let_go_ = true;
    changed_.notify_all();
  }

 private:
  TensorSignatures signature_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int running_ = 0;
  bool let_go_ = false;
};

class InferenceServiceTest : public ::testing::Test {
 protected:
  explicit InferenceServiceTest(ByteBudget* received = nullptr)
      : service_(Options(received), model_) {
    const std::string target = "unix:" + (directory_ / "socket").string();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(target, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  }
  ~InferenceServiceTest() override { model_.LetGo(); }

  static InferenceService::Options Options(ByteBudget* received) {
    InferenceService::Options options;
    options.received = received;
    options.running = 4;
    options.memory_bytes = 10'000;
    return options;
  }
  grpc::Status Infer(int64_t elements, std::chrono::milliseconds timeout = std::chrono::minutes(1),
                     const std::string& version = "") {
    inference::ModelInferRequest request;
    request.set_model_name("greedy");
    request.set_model_version(version);
    AddInput("x", MakeTensor(Datatype::kUint8, {elements}), request);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    inference::ModelInferResponse response;
    return stub_->ModelInfer(&context, request, &response);
  }

  const testing::TemporaryDirectory directory_;
  Greedy model_;
  InferenceService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

// What it brings is held from its first line to its answer, also while it waits for a place.
class ReceivedBytesTest : public InferenceServiceTest {
 protected:
  ReceivedBytesTest() : InferenceServiceTest(&received_) {}
  static inline ByteBudget received_{50};  // A request here has 30.
};

TEST_F(ReceivedBytesTest, WhatAllBringTogetherIsBounded) {
  grpc::Status first;
  std::thread caller([&] { first = Infer(5); });
  model_.WaitForOne();
  const grpc::Status refused = Infer(5);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
  EXPECT_THAT(refused.error_message(), HasSubstr("calls in flight hold"));
  model_.LetGo();
  caller.join();
  EXPECT_TRUE(first.ok()) << first.error_message();
  EXPECT_TRUE(Infer(5).ok()) << "what was held is given back";
}

TEST_F(InferenceServiceTest, WhatNeverFitsIsRefusedAtOnce) {
  const grpc::Status status = Infer(11);  // It would hang if it ran.
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("send smaller ones"));
}

TEST_F(InferenceServiceTest, WhatDoesNotFitNowWaits) {
  grpc::Status first;
  std::thread caller([&] { first = Infer(6); });
  model_.WaitForOne();
  // There is a place for it, and no memory.
  EXPECT_EQ(Infer(5, std::chrono::milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  model_.LetGo();
  caller.join();
  EXPECT_TRUE(first.ok()) << first.error_message();
  EXPECT_TRUE(Infer(10).ok()) << "what was taken is given back";
}

TEST_F(InferenceServiceTest, CountsWhereTheTimeOfRequestsWent) {
  model_.LetGo();
  const auto ask = [&](const std::string& model, const std::string& version) {
    inference::ModelStatisticsRequest request;
    request.set_name(model);
    request.set_version(version);
    grpc::ClientContext context;
    inference::ModelStatisticsResponse response;
    const grpc::Status status = stub_->ModelStatistics(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.model_stats_size(), 1);
    return response.model_stats(0);
  };
  EXPECT_EQ(ask("greedy", "").inference_count(), 0u) << "it is there before the first request";
  EXPECT_TRUE(ask("greedy", "").inference_stats().has_success());
  EXPECT_TRUE(Infer(1).ok());
  EXPECT_TRUE(Infer(2).ok());
  EXPECT_FALSE(Infer(11).ok());
  for (const auto& [model, version] :
       {std::pair("", ""), std::pair("greedy", ""), std::pair("greedy", "1")}) {
    const inference::ModelStatistics statistics = ask(model, version);
    EXPECT_EQ(statistics.name(), "greedy");
    EXPECT_EQ(statistics.version(), "1");
    EXPECT_EQ(statistics.inference_count(), 2u);
    EXPECT_EQ(statistics.execution_count(), 2u);
    EXPECT_GT(statistics.last_inference(), 1'500'000'000'000u);
    const inference::InferStatistics& times = statistics.inference_stats();
    EXPECT_EQ(times.success().count(), 2u);
    EXPECT_EQ(times.fail().count(), 1u);
    EXPECT_EQ(times.success().ns(), times.compute_input().ns() + times.queue().ns() +
                                        times.compute_infer().ns() + times.compute_output().ns());
    EXPECT_GT(times.success().ns(), 0u);
  }
}

TEST_F(InferenceServiceTest, AVersionHasOneName) {
  model_.LetGo();
  EXPECT_TRUE(Infer(1, std::chrono::minutes(1), "1").ok());
  for (const char* version : {"01", " 1", "1 ", "+1", "1\n", "0", "-1", "one"}) {
    EXPECT_EQ(Infer(1, std::chrono::minutes(1), version).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << version;
  }
}

}  // namespace
}  // namespace backfire::runtime
