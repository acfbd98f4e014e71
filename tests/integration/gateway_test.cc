// The gateway as a process, before real services, behind an orchestrator that the test plays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "services/rpc/rpc_server.h"
#include "services/runtime/inference_service.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_orchestrator.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"
#include "tests/support/toy_system.h"

namespace backfire {
namespace {

using testing::ChildProcess;
using testing::FakeOrchestrator;
using ::testing::HasSubstr;
using testing::ToyClient;

// Two services, three vertices: `left` and `right` multiply x, `sum` multiplies left's product.
class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b"}) {
      services_.push_back(std::make_unique<ChildProcess>(
          std::vector<std::string>{
              BACKFIRE_TOY_SERVICE, "--listen=" + Target(name),
              "--data-dir=" + (directory_ / (std::string(name) + ".d")).string()},
          directory_ / (std::string(name) + ".log")));
      ASSERT_TRUE(testing::WaitUntilReady(Target(name), *services_.back()));
      ToyClient client(Target(name));
      for (int i = 1; i <= 2; ++i) {
        for (const char* model : {"first", "second"}) {
          // Slopes 2 and 3 (version 1), 2 and 4 (version 2), before the little noise of training.
          v1::TrainRequest request = ToyClient::TrainRequest(std::string(model) + std::to_string(i),
                                                             model, model[0] == 'f' ? i - 1 : 0);
          if (std::string(model) == "second") {
            *request.add_lineage() = ToyClient::ParentOf(versions_[name]["first"]);
            (*request.mutable_endpoints()->mutable_by_model())["models/first"] = Target(name);
          }
          const auto job = client.Train(request);
          ASSERT_TRUE(job.ok()) << job.status();
          ASSERT_EQ(job->state(), v1::Job::SUCCEEDED) << job->error_message();
          versions_[name][model] = job->version();
          ASSERT_TRUE(client.Load(job->version().name()).ok());
        }
      }
      v1::GetModelRequest get;
      for (const char* model : {"first", "second"}) {
        get.set_name(std::string("models/") + model);
        models_[model] = *client.Call(&v1::ModelService::Stub::GetModel, get);
      }
    }
    runtime::RpcServerOptions options;
    options.listen = Target("orchestrator");
    auto server = runtime::RpcServer::Start(options, {&orchestrator_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    gateway_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{BACKFIRE_GATEWAY, "--listen=" + Target("gateway"),
                                 "--orchestrator=" + Target("orchestrator"), "--name=the gateway",
                                 "--running=2", "--queue=1"},
        directory_ / "gateway.log");
  }
  void TearDown() override {
    gateway_.reset();
    orchestrator_.Stop();
    if (server_ != nullptr) server_->Drain();
  }

  std::string Target(const std::string& name) { return "unix:" + (directory_ / name).string(); }

  v1::ReleaseSnapshot Snapshot(int64_t live) {
    v1::ReleaseSnapshot snapshot;
    v1::System& system = *snapshot.mutable_system();
    system = testing::ToySystem([this](const std::string& name) { return Target(name); });
    for (v1::Vertex& vertex : *system.mutable_vertices()) {
      if (vertex.name() == "right") vertex.set_endpoint(Target("b"));
      (*snapshot.mutable_models())[vertex.name()] = models_[vertex.model()];
    }
    for (const int number : {1, 2}) {
      v1::Release* release = snapshot.add_releases();
      release->set_name("releases/" + std::to_string(number));
      const std::string suffix = "/versions/" + std::to_string(number);
      (*release->mutable_versions())["left"] = "models/first" + suffix;
      (*release->mutable_versions())["right"] = "models/first" + suffix;
      (*release->mutable_versions())["sum"] = "models/second" + suffix;
    }
    snapshot.set_live(live);
    snapshot.set_epoch(live);
    return snapshot;
  }

  // Tensors of a response by name.
  static std::map<std::string, double> Numbers(const inference::ModelInferResponse& response) {
    std::map<std::string, double> numbers;
    for (int i = 0; i < response.outputs_size(); ++i) {
      std::memcpy(&numbers[response.outputs(i).name()], response.raw_output_contents(i).data(), 8);
    }
    return numbers;
  }

  // Whether the gateway says that a model, or all it serves (""), is ready, and else why not.
  std::pair<bool, std::string> Ready(const std::string& model) {
    const auto stub =
        inference::GRPCInferenceService::NewStub(runtime::MakeChannel(Target("gateway")));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    runtime::SetDeadline(context, absl::Minutes(1));
    inference::ModelReadyResponse of_model;
    inference::ServerReadyResponse of_all;
    inference::ModelReadyRequest request;
    request.set_name(model);
    const grpc::Status status = model.empty() ? stub->ServerReady(&context, {}, &of_all)
                                              : stub->ModelReady(&context, request, &of_model);
    EXPECT_TRUE(status.ok()) << status.error_message();
    const auto& trailers = context.GetServerTrailingMetadata();
    const auto reason = trailers.find(runtime::kNotReady);
    return {
        of_all.ready() || of_model.ready(),
        reason == trailers.end() ? "" : std::string(reason->second.data(), reason->second.size())};
  }
  // Waits until that is so, for at most a minute; returns why it is not ready.
  std::string WaitUntilItSays(bool ready, const std::string& model) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    std::pair<bool, std::string> said = Ready(model);
    while (said.first != ready && std::chrono::steady_clock::now() < give_up) said = Ready(model);
    EXPECT_EQ(said.first, ready) << model << said.second << gateway_->Log();
    EXPECT_EQ(said.second.empty(), ready);
    return said.second;
  }
  // Waits until the gateway's health says that of this name, for at most a minute.
  void WaitForHealth(const std::string& name, const std::string& health) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (testing::Health(Target("gateway"), name) != health &&
           std::chrono::steady_clock::now() < give_up) {
    }
    EXPECT_EQ(testing::Health(Target("gateway"), name), health) << name << gateway_->Log();
  }

  testing::TemporaryDirectory directory_;
  std::vector<std::unique_ptr<ChildProcess>> services_;
  std::map<std::string, std::map<std::string, v1::Version>> versions_;
  std::map<std::string, v1::Model> models_;
  FakeOrchestrator orchestrator_;
  std::unique_ptr<runtime::RpcServer> server_;
  std::unique_ptr<ChildProcess> gateway_;
};

TEST_F(GatewayTest, RunsTheGraphOnOneReleaseAndKeepsServingAlone) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  ToyClient client(Target("gateway"));

  auto response = client.Infer("toy", "", "x", 1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model_version(), "1");
  EXPECT_EQ(response->parameters().at("release").int64_param(), 1);
  EXPECT_EQ(response->parameters().at("version.sum").int64_param(), 1);
  EXPECT_NEAR(Numbers(*response)["right"], 2, 0.05);
  EXPECT_NEAR(Numbers(*response)["sum"], 2, 0.05);

  // A release by number; version 2 of `first` has slope 3.
  response = client.Infer("toy", "2", "x", 1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_NEAR(Numbers(*response)["right"], 3, 0.05);

  // A vertex by name runs the subgraph up to it, and no more.
  response = client.Infer("left", "2", "x", 1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_NEAR(Numbers(*response)["y"], 3, 0.05);
  EXPECT_EQ(response->parameters().count("version.right"), 0u);

  EXPECT_TRUE(absl::IsNotFound(client.Infer("toy", "7", "x", 1).status()));
  EXPECT_TRUE(absl::IsNotFound(client.Infer("zebra", "", "x", 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(client.Infer("toy", "", "z", 1).status()));
  const auto refused = client.Infer("toy", "", "x", std::nan(""));
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("vertex "));

  // The orchestrator goes; the gateway stays.
  orchestrator_.Stop();
  server_->Drain();
  EXPECT_TRUE(client.Infer("toy", "", "x", 1).ok());

  // A service goes: one clear line.
  services_[1]->Kill();
  const auto down = client.Infer("toy", "", "x", 1);
  EXPECT_TRUE(absl::IsUnavailable(down.status())) << down.status();
  EXPECT_THAT(std::string(down.status().message()), HasSubstr("at " + Target("b")));
}

TEST_F(GatewayTest, ASwapDropsNothingAndMixesNothing) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  std::atomic<bool> stop{false};
  std::atomic<int> requests{0};
  std::atomic<int> faults{0};
  std::set<std::string> seen;
  std::thread load([&] {
    ToyClient client(Target("gateway"));
    while (!stop) {
      const auto response = client.Infer("toy", "", "x", 1);
      ++requests;
      if (!response.ok()) {
        ++faults;
        continue;
      }
      seen.insert(response->model_version());
      const double slope = response->model_version() == "1" ? 2 : 3;
      if (std::abs(Numbers(*response)["right"] - slope) > 0.05) ++faults;
    }
  });
  for (int swap = 0; swap < 10; ++swap) {
    const int before = requests;
    while (requests < before + 10) std::this_thread::yield();
    orchestrator_.Publish(Snapshot(1 + (swap + 1) % 2));
  }
  const int before = requests;
  while (requests < before + 10) std::this_thread::yield();
  stop = true;
  load.join();
  EXPECT_EQ(faults, 0);
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(GatewayTest, ReportsTheEpochThatItServesAndItsOldestRequest) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  orchestrator_.WaitForReport("the gateway",
                              [](const auto& report) { return report.epoch() == 1; });
  // One request hangs, for its service does.
  services_[1]->Signal(SIGSTOP);
  std::thread hangs(
      [&] { EXPECT_TRUE(ToyClient(Target("gateway")).Infer("toy", "", "x", 1).ok()); });
  const auto busy = orchestrator_.WaitForReport(
      "the gateway", [](const auto& report) { return report.requests_in_flight() == 1; });
  EXPECT_EQ(busy.oldest_epoch(), 1);
  orchestrator_.Publish(Snapshot(2));
  const auto moved = orchestrator_.WaitForReport(
      "the gateway", [](const auto& report) { return report.epoch() == 2; });
  EXPECT_EQ(moved.oldest_epoch(), 1);
  services_[1]->Signal(SIGCONT);
  hangs.join();
  const auto idle = orchestrator_.WaitForReport(
      "the gateway", [](const auto& report) { return report.oldest_epoch() != 1; });
  EXPECT_EQ(idle.epoch(), 2);
  EXPECT_EQ(idle.requests_in_flight(), 0);
  gateway_->Signal(SIGTERM);
  EXPECT_TRUE(orchestrator_
                  .WaitForReport("the gateway", [](const auto& report) { return report.leaving(); })
                  .leaving());
}

TEST_F(GatewayTest, ARequestThatComesTooLateForItsReleaseIsRunAgainOnTheLiveOne) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  ToyClient client(Target("gateway"));
  // It has begun on release 1, and waits for a service that hangs.
  services_[0]->Signal(SIGSTOP);
  absl::StatusOr<inference::ModelInferResponse> late = absl::UnknownError("not answered");
  std::thread caller([&] { late = ToyClient(Target("gateway")).Infer("sum", "", "x", 1); });
  orchestrator_.WaitForReport("the gateway",
                              [](const auto& report) { return report.requests_in_flight() == 1; });
  orchestrator_.Publish(Snapshot(2));
  orchestrator_.WaitForReport("the gateway",
                              [](const auto& report) { return report.epoch() == 2; });
  // Its lease has run out, as it were: what it still needs is unloaded before it gets there.
  EXPECT_TRUE(ToyClient(Target("b")).Unload("models/second/versions/1").ok());
  services_[0]->Signal(SIGCONT);
  caller.join();
  // It was run again, whole, on release 2.
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->model_version(), "2");
  EXPECT_EQ(late->parameters().at("release").int64_param(), 2);
  EXPECT_EQ(late->parameters().at("version.left").int64_param(), 2);
  EXPECT_EQ(late->parameters().at("version.sum").int64_param(), 2);
  // One that asks for the release by number gets no other.
  EXPECT_TRUE(absl::IsUnavailable(client.Infer("toy", "1", "x", 1).status()));
}

TEST_F(GatewayTest, AServiceThatHangsFailsItsOwnRequestsAndStallsNoOthers) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  services_[1]->Signal(SIGSTOP);
  // As many as may run, and one that waits.
  std::vector<std::thread> hang;
  for (int i = 0; i < 3; ++i) {
    hang.emplace_back([&] {
      const auto status = ToyClient(Target("gateway")).Infer("right", "", "x", 1, 2).status();
      EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    });
  }
  orchestrator_.WaitForReport("the gateway",
                              [](const auto& report) { return report.requests_in_flight() == 3; });
  const auto refused = ToyClient(Target("gateway")).Infer("right", "", "x", 1).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  for (int i = 0; i < 20; ++i) {
    const auto fine = ToyClient(Target("gateway")).Infer("left", "", "x", 1);
    EXPECT_TRUE(fine.ok()) << fine.status();
  }
  for (std::thread& thread : hang) thread.join();
  services_[1]->Signal(SIGCONT);
  // A client may know of its deadline a moment before the gateway does.
  orchestrator_.WaitForReport("the gateway",
                              [](const auto& report) { return report.requests_in_flight() == 0; });
  const auto served = ToyClient(Target("gateway")).Infer("right", "", "x", 1);
  EXPECT_TRUE(served.ok()) << served.status();
}

TEST_F(GatewayTest, IsReadyWhileEachVertexProvesThatItCanServe) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  for (const char* model : {"", "toy", "left", "right", "sum"}) WaitUntilItSays(true, model);
  for (const char* name : {"toy", "left", "right", "sum"}) WaitForHealth(name, "SERVING");

  // It hangs, then it is gone; what does not need it is ready.
  for (const int signal : {SIGSTOP, SIGKILL}) {
    services_[1]->Signal(signal);
    // First, as another vertex of that service may be found out before.
    EXPECT_THAT(WaitUntilItSays(false, "right"), HasSubstr("vertex right"));
    EXPECT_THAT(WaitUntilItSays(false, ""),
                HasSubstr("vertex right can't serve models/first/versions/1: " + Target("b")));
    EXPECT_THAT(WaitUntilItSays(false, "toy"), HasSubstr("vertex right"));
    EXPECT_TRUE(Ready("left").first);
    WaitForHealth("toy", "NOT_SERVING");
    WaitForHealth("right", "NOT_SERVING");
    // No other gateway could serve it: this one is kept in rotation.
    for (const char* name : {"", "readiness", "liveness", "left"}) {
      EXPECT_EQ(testing::Health(Target("gateway"), name), "SERVING") << name;
    }
    EXPECT_THAT(gateway_->Log(), HasSubstr("state=NOT_READY vertex=right"));
    if (signal != SIGSTOP) break;
    services_[1]->Signal(SIGCONT);
    WaitUntilItSays(true, "");
    WaitForHealth("toy", "SERVING");
  }
}

TEST_F(GatewayTest, IsNotReadyWhereAVertexHasNothingOrSomethingElseLoaded) {
  v1::ReleaseSnapshot snapshot = Snapshot(1);
  v1::Release& release = *snapshot.mutable_releases(0);
  (*release.mutable_digests())["right"] = "another digest";
  orchestrator_.Publish(snapshot);
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  EXPECT_THAT(WaitUntilItSays(false, "right"), HasSubstr("other weights by that name"));
  const std::string digest = [&] {
    v1::GetVersionRequest get;
    get.set_name("models/first/versions/1");
    const auto version = ToyClient(Target("b")).Call(&v1::ModelService::Stub::GetVersion, get);
    EXPECT_TRUE(version.ok()) << version.status();
    return version.ok() ? version->digest() : "";
  }();
  (*release.mutable_digests())["right"] = digest;
  snapshot.set_epoch(2);
  orchestrator_.Publish(snapshot);
  WaitUntilItSays(true, "right");
  // The other service has two versions, of which one is live.
  ASSERT_TRUE(ToyClient(Target("b")).Unload("models/first/versions/1").ok());
  EXPECT_THAT(WaitUntilItSays(false, "right"), HasSubstr("vertex right can't serve"));
  ASSERT_TRUE(ToyClient(Target("b")).Load("models/first/versions/1").ok());
  WaitUntilItSays(true, "");
}

TEST_F(GatewayTest, IsReadyAllThroughASwap) {
  orchestrator_.Publish(Snapshot(1));
  ASSERT_TRUE(testing::WaitUntilReady(Target("gateway"), *gateway_)) << gateway_->Log();
  WaitUntilItSays(true, "");
  for (int swap = 0; swap < 10; ++swap) {
    const int live = 1 + (swap + 1) % 2;
    v1::ReleaseSnapshot snapshot = Snapshot(live);
    snapshot.set_epoch(2 + swap);
    orchestrator_.Publish(snapshot);
    bool moved = false;
    while (!moved) {
      EXPECT_TRUE(Ready("").first);
      moved = ToyClient(Target("gateway")).Infer("toy", "", "x", 1)->model_version() ==
              std::to_string(live);
    }
    EXPECT_TRUE(Ready("toy").first);
  }
}

TEST_F(GatewayTest, BeforeTheFirstReleaseItSaysSo) {
  orchestrator_.Publish(Snapshot(0));
  ASSERT_TRUE(testing::WaitUntilLive(Target("gateway"))) << gateway_->Log();
  ToyClient client(Target("gateway"));
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  absl::Status status = client.Infer("toy", "", "x", 1).status();
  while (absl::IsUnavailable(status) && std::chrono::steady_clock::now() < give_up) {
    status = client.Infer("toy", "", "x", 1).status();
  }
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no live release"));
}

}  // namespace
}  // namespace backfire
