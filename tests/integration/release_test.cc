// Releases over real processes: loaded before they are served, unloaded when no gateway serves
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <set>
#include <thread>

#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::HasSubstr;
using testing::ToyClient;
using ::testing::UnorderedElementsAre;

class ReleaseTest : public testing::OrchestratorFixture {
 protected:
  ReleaseTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  void SetUp() override {
    StartService("a");
    StartService("b");
    StartOrchestrator({"--lease-seconds=2"});
    v1::System system = System();
    system.mutable_service_timeout()->set_seconds(1);
    Apply(system);
  }
  void StartGateway(const std::string& name) {
    Start(name, {BACKFIRE_GATEWAY, "--listen=" + Target(name), "--orchestrator=" + Target("o"),
                 "--name=" + name});
    ASSERT_TRUE(testing::WaitUntilReady(Target(name), *processes_.at(name)));
  }
  // A system that waits long for its services, and a promoted update of `left`, which has retired
  // releases/2.
  void PromoteBeyondReleaseTwo() {
    v1::System system = System();
    system.mutable_service_timeout()->set_seconds(300);
    system.set_seed(7);
    Apply(system);
    const std::string update = Propose("left", "left", 0.5);
    ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
    ASSERT_TRUE(Promote(update).ok());
    WaitForState("releases/2", v1::Release::RETIRED);
  }
  absl::StatusOr<v1::Release> Rollback(const std::string& release) {
    v1::RollbackReleaseRequest request;
    request.set_name(release);
    request.set_reason("worse at night");
    request.set_actor("bob");
    return Call(&Stub::RollbackRelease, request);
  }
  // The snapshot for observers as it is once `done` says so, for at most a minute.
  v1::ReleaseSnapshot Observe(const std::function<bool(const v1::ReleaseSnapshot&)>& done) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    const auto stream = stub_->WatchReleases(&context);
    stream->Write(v1::GatewayReport());
    v1::ReleaseSnapshot snapshot;
    bool found = false;
    while (!found && stream->Read(&snapshot)) found = done(snapshot);
    context.TryCancel();
    stream->Finish();
    EXPECT_TRUE(found) << snapshot.ShortDebugString();
    return snapshot;
  }
  static v1::Release::State StateOf(const v1::ReleaseSnapshot& snapshot, const std::string& name) {
    for (const auto* releases : {&snapshot.releases(), &snapshot.others()}) {
      for (const v1::Release& release : *releases) {
        if (release.name() == name) return release.state();
      }
    }
    return v1::Release::STATE_UNSPECIFIED;
  }
  void WaitForState(const std::string& release, v1::Release::State state) {
    Observe(
        [&](const v1::ReleaseSnapshot& snapshot) { return StateOf(snapshot, release) == state; });
  }
  std::set<std::string> Loaded() {
    std::set<std::string> loaded;
    for (const auto& [service, model] : {std::pair("a", "first"), std::pair("b", "second")}) {
      v1::ListVersionsRequest request;
      request.set_model(std::string("models/") + model);
      const auto versions =
          ToyClient(Target(service)).Call(&v1::ModelService::Stub::ListVersions, request);
      EXPECT_TRUE(versions.ok()) << versions.status();
      if (!versions.ok()) continue;
      for (const v1::Version& version : versions->versions()) {
        if (version.loaded()) loaded.insert(version.name());
      }
    }
    return loaded;
  }
};

TEST_F(ReleaseTest, VersionsAreLoadedBeforeTheSwitchAndUnloadedAfterIt) {
  StartGateway("g1");
  StartGateway("g2");
  // left and right are trained alike, and so are one version of `first`.
  const std::string first = "models/first/versions/1", second = "models/second/versions/1";
  EXPECT_THAT(Loaded(), UnorderedElementsAre(first, second));
  const std::string update = Propose("left", "left", 0.5);
  const v1::Update decided = WaitForEnd(update);
  ASSERT_EQ(decided.state(), v1::Update::DECIDED) << decided.error_message();
  const std::string new_first = "models/first/versions/2", new_second = "models/second/versions/2";
  EXPECT_THAT(Loaded(), UnorderedElementsAre(first, new_first, second, new_second));

  ASSERT_TRUE(Promote(update).ok());
  Observe([](const v1::ReleaseSnapshot& snapshot) {
    return snapshot.gateways_size() == 2 && snapshot.gateways(0).epoch() == 2 &&
           snapshot.gateways(1).epoch() == 2;
  });
  WaitForState("releases/1", v1::Release::RETIRED);
  // `right` still is the old version.
  EXPECT_THAT(Loaded(), UnorderedElementsAre(first, new_first, new_second));
  for (const char* gateway : {"g1", "g2"}) {
    const auto response = ToyClient(Target(gateway)).Infer("toy", "", "x", 1);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->parameters().at("release").int64_param(), 2);
    EXPECT_EQ(response->parameters().at("version.left").int64_param(), 2);
    EXPECT_EQ(response->parameters().at("version.right").int64_param(), 1);
    EXPECT_EQ(response->parameters().at("version.sum").int64_param(), 2);
    EXPECT_TRUE(absl::IsNotFound(ToyClient(Target(gateway)).Infer("toy", "1", "x", 1).status()));
  }

  ASSERT_TRUE(Rollback("releases/1").ok());
  EXPECT_EQ(Loaded().count(second), 1u);
  WaitForState("releases/2", v1::Release::RETIRED);
  EXPECT_THAT(Loaded(), UnorderedElementsAre(first, second));
  EXPECT_TRUE(ToyClient(Target("g1")).Infer("toy", "", "x", 1).ok());

  v1::GetReleaseRequest get;
  get.set_name("releases/2");
  const auto release = Call(&Stub::GetRelease, get);
  ASSERT_TRUE(release.ok()) << release.status();
  ASSERT_EQ(release->history_size(), 2);
  EXPECT_EQ(release->history(0).kind(), v1::ReleaseEvent::PROMOTED);
  EXPECT_EQ(release->history(0).actor(), "ada");
  EXPECT_EQ(release->history(0).reason(), "a test");
  EXPECT_EQ(release->history(0).verdict(), decided.verdict().outcome());
  EXPECT_TRUE(release->history(0).override());
  EXPECT_GT(release->history(0).time().seconds(), 1'500'000'000);
  EXPECT_EQ(release->history(1).kind(), v1::ReleaseEvent::REPLACED);
  EXPECT_EQ(release->history(1).actor(), "bob");
}

TEST_F(ReleaseTest, ADecidedUpdateThatIsTurnedDownLeavesNothingLoaded) {
  const std::string name = Propose("left", "left", 0.5);
  const v1::Update decided = WaitForEnd(name);
  ASSERT_EQ(decided.state(), v1::Update::DECIDED) << decided.error_message();
  v1::CancelUpdateRequest request;
  request.set_name(name);
  const auto rejected = Call(&Stub::CancelUpdate, request);
  ASSERT_TRUE(rejected.ok()) << rejected.status();
  EXPECT_EQ(rejected->state(), v1::Update::REJECTED);
  EXPECT_TRUE(rejected->has_verdict());
  EXPECT_TRUE(Call(&Stub::CancelUpdate, request).ok()) << "the same again";
  EXPECT_TRUE(absl::IsFailedPrecondition(Promote(name).status()));
  const v1::ReleaseSnapshot seen = Observe([&](const v1::ReleaseSnapshot& snapshot) {
    return StateOf(snapshot, decided.release()) == v1::Release::RETIRED;
  });
  EXPECT_EQ(StateOf(seen, decided.release()), v1::Release::RETIRED);
  // Nobody needs what it made any more.
  v1::DeleteVersionRequest remove;
  for (const char* step : {"train/sum/0", "train/left/0"}) {
    remove.set_name(StepOf(decided, step).version().name());
    const auto removed = Call(&Stub::DeleteVersion, remove);
    EXPECT_TRUE(removed.ok()) << removed.status();
  }
}

TEST_F(ReleaseTest, AGatewayThatIsNotHeardOfKeepsItsReleaseUntilItsLeaseHasRunOut) {
  StartGateway("g1");
  StartGateway("g2");
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  Observe([](const v1::ReleaseSnapshot& snapshot) { return snapshot.gateways_size() == 2; });
  processes_.at("g2")->Signal(SIGSTOP);
  ASSERT_TRUE(Promote(update).ok());
  WaitForState("releases/1", v1::Release::RETIRED);
  // Back again, it serves what is live now.
  processes_.at("g2")->Signal(SIGCONT);
  Observe([](const v1::ReleaseSnapshot& snapshot) {
    return snapshot.gateways_size() == 2 && snapshot.gateways(1).epoch() == 2;
  });
  const auto response = ToyClient(Target("g2")).Infer("toy", "", "x", 1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->parameters().at("release").int64_param(), 2);
}

TEST_F(ReleaseTest, WhatCannotBeLoadedIsNotSwitchedTo) {
  StartGateway("g1");
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  Kill("b");
  const auto refused = Promote(update);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("releases/2 can't be made live: loading models/second/versions/2 failed at "
                        "vertex sum: "));
  EXPECT_EQ(Get(update).state(), v1::Update::DECIDED);
  WaitForState("releases/1", v1::Release::LIVE);
  StartService("b");
  EXPECT_TRUE(Promote(update).ok());
}

TEST_F(ReleaseTest, AServiceThatHangsDelaysNoSwitchThatItHasNoPartIn) {
  // Its release changes `sum` alone, which service b has.
  const std::string update = Propose("sum", "sum", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  processes_.at("a")->Signal(SIGSTOP);
  const auto promoted = Promote(update);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  const auto back = Rollback("releases/1");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->epoch(), 3);
  // What it has a part in is refused by a person's patience, and not by a connection's.
  processes_.at("b")->Signal(SIGSTOP);
  const auto start = std::chrono::steady_clock::now();
  const auto refused = Rollback("releases/2");
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("did not answer"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(18));
  for (const char* service : {"a", "b"}) processes_.at(service)->Signal(SIGCONT);
  EXPECT_TRUE(Rollback("releases/2").ok());
}

TEST_F(ReleaseTest, AHungServiceIsNamedWithinTheCallersTimeAndWithinALimit) {
  PromoteBeyondReleaseTwo();
  for (const char* service : {"a", "b"}) processes_.at(service)->Signal(SIGSTOP);
  // How long it takes to be refused, by somebody who waits for so long.
  const auto refused = [&](absl::Duration patience) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, patience);
    v1::RollbackReleaseRequest request;
    request.set_name("releases/2");
    v1::Release release;
    const auto start = std::chrono::steady_clock::now();
    const grpc::Status status = stub_->RollbackRelease(&context, request, &release);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    for (const char* vertex : {"left", "sum"}) {
      EXPECT_THAT(status.error_message(), HasSubstr(std::string("failed at vertex ") + vertex));
    }
    std::cerr << "refused after " << took.count() << " s: " << status.error_message() << "\n";
    return took.count();
  };
  EXPECT_LT(refused(absl::Seconds(8)), 8) << "by the server, in time to say why";
  // Both hang, and are waited for at once. One after the other would take twice the limit.
  EXPECT_LT(refused(absl::Minutes(1)), 18);
  for (const char* service : {"a", "b"}) processes_.at(service)->Signal(SIGCONT);
  EXPECT_TRUE(Rollback("releases/2").ok());
}

TEST_F(ReleaseTest, ARollbackThatItsCallerGivesUpIsLetGoOf) {
  PromoteBeyondReleaseTwo();
  const std::string before = "releases/2";
  processes_.at("b")->Signal(SIGSTOP);
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Seconds(1));
  v1::RollbackReleaseRequest request;
  request.set_name(before);
  v1::Release release;
  EXPECT_EQ(stub_->RollbackRelease(&context, request, &release).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  WaitForState(before, v1::Release::DRAINING);
  processes_.at("b")->Signal(SIGCONT);
  EXPECT_TRUE(Rollback(before).ok());
}

TEST_F(ReleaseTest, ARollbackThatARestartInterruptedLeavesNothingHalf) {
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(Promote(update).ok());
  WaitForState("releases/1", v1::Release::RETIRED);
  // The service hangs, so that the loading for the rollback does.
  processes_.at("b")->Signal(SIGSTOP);
  grpc::ClientContext context;
  v1::RollbackReleaseRequest request;
  request.set_name("releases/1");
  v1::Release release;
  grpc::Status status;
  std::thread caller([&] { status = stub_->RollbackRelease(&context, request, &release); });
  WaitForState("releases/1", v1::Release::PREPARING);
  Kill("o");
  caller.join();
  EXPECT_FALSE(status.ok());
  processes_.at("b")->Signal(SIGCONT);
  StartOrchestrator({"--lease-seconds=2"});
  WaitForState("releases/2", v1::Release::LIVE);
  WaitForState("releases/1", v1::Release::RETIRED);
  const absl::StatusOr<v1::Release> back = Rollback("releases/1");
  EXPECT_TRUE(back.ok()) << back.status();
}

TEST_F(ReleaseTest, GatewaysServeOnWithoutTheOrchestrator) {
  StartGateway("g1");
  Kill("o");
  ToyClient client(Target("g1"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(client.Infer("toy", "", "x", 1).ok());
  EXPECT_EQ(testing::Health(Target("g1"), ""), "SERVING");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (testing::Health(Target("g1"), "orchestrator") != "NOT_SERVING" &&
         std::chrono::steady_clock::now() < give_up) {
  }
  EXPECT_EQ(testing::Health(Target("g1"), "orchestrator"), "NOT_SERVING");
  StartOrchestrator();
  while (testing::Health(Target("g1"), "orchestrator") != "SERVING" &&
         std::chrono::steady_clock::now() < give_up) {
  }
  EXPECT_EQ(testing::Health(Target("g1"), "orchestrator"), "SERVING");
}

}  // namespace
}  // namespace backfire
