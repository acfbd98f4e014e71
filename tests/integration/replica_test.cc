// Replicas of a model service: loaded before a release is live, called in turn, left out when they
// are away, and filled again when they come back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ToyClient;
using ::testing::UnorderedElementsAre;

class ReplicaTest : public testing::OrchestratorFixture {
 protected:
  ReplicaTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  void SetUp() override {
    StartService("a");
    StartService("b");
    StartReplica("r");
    StartOrchestrator({"--lease-seconds=2"});
    system_ = System();
    system_.mutable_service_timeout()->set_seconds(1);
    for (v1::Vertex& vertex : *system_.mutable_vertices()) {
      if (vertex.endpoint() == Target("a")) vertex.add_replicas(Target("r"));
    }
    Apply(system_);
    Start("g", {BACKFIRE_GATEWAY, "--listen=" + Target("g"), "--orchestrator=" + Target("o")});
    ASSERT_TRUE(testing::WaitUntilReady(Target("g"), *processes_.at("g")));
  }
  void StartReplica(const std::string& name) {
    Start(name, {toy_service_, "--listen=" + Target(name), "--replica-of=" + Target("a"),
                 "--data-dir=" + (directory_ / (name + ".d")).string()});
    ASSERT_TRUE(testing::WaitUntilReady(Target(name), *processes_.at(name)))
        << processes_.at(name)->Log();
  }
  // Versions that a replica has, loaded or not.
  static std::set<std::string> Versions(ToyClient client) {
    v1::ListVersionsRequest request;
    request.set_model("models/first");
    const auto versions = client.Call(&v1::ModelService::Stub::ListVersions, request);
    EXPECT_TRUE(versions.ok()) << versions.status();
    std::set<std::string> names;
    for (int i = 0; versions.ok() && i < versions->versions_size(); ++i) {
      names.insert(versions->versions(i).name() + (versions->versions(i).loaded() ? "" : " away"));
    }
    return names;
  }
  // Asks another process until `done`, for at most half a minute.
  static bool Eventually(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  // What the vertices' service answered of so many requests through the gateway.
  // Of grpc.health.v1.
  static bool IsServing(const std::string& target, const std::string& name) {
    const auto stub = grpc::health::v1::Health::NewStub(runtime::MakeChannel(target));
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(name);
    const auto response = runtime::UnaryCall(*stub, &grpc::health::v1::Health::Stub::Check, request,
                                             absl::Minutes(1));
    EXPECT_TRUE(response.ok()) << target << ": " << response.status();
    return response.ok() && response->status() == grpc::health::v1::HealthCheckResponse::SERVING;
  }
  void Infer(int count) {
    ToyClient gateway(Target("g"));
    for (int i = 0; i < count; ++i) {
      const auto response = gateway.Infer("toy", "", "x", i);
      ASSERT_TRUE(response.ok()) << response.status();
    }
  }
  v1::Release::State ReleaseState(const std::string& name) {
    v1::GetReleaseRequest request;
    request.set_name(name);
    return Call(&Stub::GetRelease, request).value_or(v1::Release()).state();
  }
  v1::System system_;
};

TEST_F(ReplicaTest, HasWhatItsPrimaryHasOfALiveRelease) {
  const std::string first = "models/first/versions/1", second = "models/first/versions/2";
  EXPECT_THAT(Versions(ToyClient(Target("r"))), ElementsAre(first));
  const auto own = ToyClient(Target("a")).Infer("first", "1", "x", 3);
  const auto copied = ToyClient(Target("r")).Infer("first", "1", "x", 3);
  ASSERT_TRUE(own.ok() && copied.ok()) << own.status() << copied.status();
  EXPECT_EQ(own->raw_output_contents(0), copied->raw_output_contents(0));

  const std::string update = Propose("right", "right", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  EXPECT_THAT(Versions(ToyClient(Target("r"))), UnorderedElementsAre(first, second));
  ASSERT_TRUE(Promote(update).ok());
  Infer(1);

  // Without its primary it serves on, also after a restart.
  Kill("a");
  Infer(6);
  StartReplica("r");
  Infer(6);
}

TEST_F(ReplicaTest, WhatAReplicaUnloadsItDeletes) {
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(ToyClient(Target("r")).Unload("models/first/versions/2").ok());
  EXPECT_THAT(Versions(ToyClient(Target("r"))), ElementsAre("models/first/versions/1"));
  // A promotion has it there again.
  ASSERT_TRUE(Promote(update).ok());
  EXPECT_THAT(Versions(ToyClient(Target("r"))),
              UnorderedElementsAre("models/first/versions/1", "models/first/versions/2"));
}

TEST_F(ReplicaTest, OneThatIsAwayIsLeftOutAndFilledWhenItComesBackEmpty) {
  Kill("r");
  Infer(10);
  std::filesystem::remove_all(directory_ / "r.d");
  StartReplica("r");
  EXPECT_TRUE(IsServing(Target("r"), "liveness"));
  // Empty, and in the mesh: its requests go to the primary.
  Infer(10);
  EXPECT_TRUE(Eventually([&] {
    return Versions(ToyClient(Target("r"))) == std::set<std::string>{"models/first/versions/1"};
  }));
}

TEST_F(ReplicaTest, IsReadyWhileItHasAVersionLoaded) {
  const std::string version = "models/first/versions/1";
  StartReplica("one");  // Which the system does not name: only this test fills it.
  ToyClient replica(Target("one"));
  EXPECT_FALSE(IsServing(Target("one"), "readiness"));
  ASSERT_TRUE(replica.Load(version).ok());
  EXPECT_TRUE(IsServing(Target("one"), "readiness"));
  ASSERT_TRUE(replica.Unload(version).ok());
  EXPECT_FALSE(IsServing(Target("one"), "readiness"));
  EXPECT_TRUE(IsServing(Target("one"), "liveness"));
  EXPECT_TRUE(IsServing(Target("a"), "readiness"));
}

TEST_F(ReplicaTest, OneThatIsAwayHoldsNothingUp) {
  const std::string first = "models/first/versions/1", second = "models/first/versions/2";
  Kill("r");
  // Neither what is prepared, nor what becomes live, nor what goes.
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(Promote(update).ok());
  Infer(3);
  v1::RollbackReleaseRequest back;
  back.set_name("releases/1");
  back.set_reason("a test");
  ASSERT_TRUE(Call(&Stub::RollbackRelease, back).ok());
  EXPECT_TRUE(Eventually([&] { return ReleaseState("releases/2") == v1::Release::RETIRED; }));
  // Back, it has what is live, and no more.
  StartReplica("r");
  EXPECT_TRUE(
      Eventually([&] { return Versions(ToyClient(Target("r"))) == std::set<std::string>{first}; }));
  Infer(3);
}

TEST_F(ReplicaTest, OneThatHangsHoldsNothingUpForLong) {
  processes_.at("r")->Signal(SIGSTOP);
  const std::string update = Propose("right", "right", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(Promote(update).ok());
  processes_.at("r")->Signal(SIGCONT);
  EXPECT_TRUE(Eventually(
      [&] { return Versions(ToyClient(Target("r"))).count("models/first/versions/2") > 0; }));
}

TEST_F(ReplicaTest, WhatWentWhileItWasAwayGoesWhenItIsBack) {
  const std::string first = "models/first/versions/1", second = "models/first/versions/2";
  const std::string update = Propose("right", "right", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(Promote(update).ok());
  EXPECT_THAT(Versions(ToyClient(Target("r"))), UnorderedElementsAre(first, second));
  Kill("r");
  v1::RollbackReleaseRequest back;
  back.set_name("releases/1");
  back.set_reason("a test");
  ASSERT_TRUE(Call(&Stub::RollbackRelease, back).ok());
  EXPECT_TRUE(Eventually([&] { return ReleaseState("releases/2") == v1::Release::RETIRED; }));
  StartReplica("r");  // With both loaded, as it was.
  EXPECT_TRUE(
      Eventually([&] { return Versions(ToyClient(Target("r"))) == std::set<std::string>{first}; }));
}

// Its data directory may be another primary's.
TEST_F(ReplicaTest, TakesOverWhatItsPrimaryHasIfThatIsWhatIsWanted) {
  StartService("other");
  ToyClient other(Target("other"));
  v1::TrainRequest request = ToyClient::TrainRequest("t", "first");
  runtime::SetParameter(*request.mutable_recipe(), "offset", 7);
  ASSERT_TRUE(other.Train(request).ok());
  Start("r", {toy_service_, "--listen=" + Target("r"), "--replica-of=" + Target("other"),
              "--data-dir=" + (directory_ / "r.d").string()});
  ASSERT_TRUE(testing::WaitUntilReady(Target("r"), *processes_.at("r")));
  ToyClient replica(Target("r"));
  const auto digest = [](ToyClient& client) {
    v1::GetVersionRequest get;
    get.set_name("models/first/versions/1");
    return client.Call(&v1::ModelService::Stub::GetVersion, get).value_or(v1::Version()).digest();
  };
  ToyClient primary(Target("a"));
  ASSERT_NE(digest(other), digest(primary));
  // It keeps what the release was made of, although its primary has something else by that name.
  v1::LoadVersionRequest load;
  load.set_name("models/first/versions/1");
  load.set_digest(digest(primary));
  EXPECT_TRUE(replica.Call(&v1::ModelService::Stub::LoadVersion, load).ok());
  EXPECT_EQ(digest(replica), digest(primary));
  load.set_digest(std::string(64, '0'));
  EXPECT_TRUE(absl::IsDataLoss(replica.Call(&v1::ModelService::Stub::LoadVersion, load).status()));
  EXPECT_EQ(digest(replica), digest(primary));
  // Whoever says no digest has it serve what it was told to be a replica of.
  ASSERT_TRUE(replica.Load("models/first/versions/1").ok());
  EXPECT_EQ(digest(replica), digest(other));
  // Which is not what the system serves: nothing more becomes live by it.
  const std::string update = Propose("left", "left", 0.5);
  const v1::Update ended = WaitForEnd(update);
  EXPECT_EQ(ended.state(), v1::Update::FAILED);
  EXPECT_THAT(ended.error_message(), HasSubstr(Target("r")));
  StartReplica("r");
  EXPECT_TRUE(Eventually([&] { return digest(replica) == digest(primary); }));
  Infer(6);
}

TEST_F(ReplicaTest, OnlyServes) {
  ToyClient replica(Target("r"));
  const auto job = replica.Train(ToyClient::TrainRequest("t", "first"));
  EXPECT_TRUE(absl::IsFailedPrecondition(job.status())) << job.status();
  EXPECT_THAT(std::string(job.status().message()), HasSubstr(Target("a")));
  const auto evaluation =
      replica.Evaluate(ToyClient::EvaluateRequest("e", "models/first/versions/1"));
  EXPECT_TRUE(absl::IsFailedPrecondition(evaluation.status())) << evaluation.status();
  v1::DeleteVersionRequest remove;
  remove.set_name("models/first/versions/1");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      replica.Call(&v1::ModelService::Stub::DeleteVersion, remove).status()));
  EXPECT_TRUE(absl::IsNotFound(replica.Load("models/first/versions/9")));
}

TEST_F(ReplicaTest, NeedsADataDirectoryOfItsOwn) {
  const auto fault = [&](const std::string& name, const std::vector<std::string>& flags) {
    std::vector<std::string> command = {toy_service_, "--listen=" + Target("x"),
                                        "--data-dir=" + (directory_ / (name + ".d")).string()};
    command.insert(command.end(), flags.begin(), flags.end());
    Kill(name);
    Start("x", command);
    EXPECT_EQ(processes_.at("x")->Wait(), 1);
    return processes_.at("x")->Log();
  };
  EXPECT_THAT(fault("b", {"--replica-of=" + Target("a")}), HasSubstr("holds versions"));
  EXPECT_THAT(fault("r", {}), HasSubstr("is a replica's"));
}

TEST_F(ReplicaTest, MustBeOfTheSameModel) {
  v1::ApplySystemRequest request;
  *request.mutable_system() = system_;
  for (v1::Vertex& vertex : *request.mutable_system()->mutable_vertices()) {
    if (vertex.name() == "sum") vertex.add_replicas(Target("nowhere"));
  }
  const auto refused = Call(&Stub::ApplySystem, request);
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("vertices[sum].replicas[0]"));
}

}  // namespace
}  // namespace backfire
