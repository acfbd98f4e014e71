#include "orchestrator/releases/release_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "orchestrator/releases/release_policy.h"
#include "orchestrator/releases/replica_keeper.h"
#include "orchestrator/store/memory_repository.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_services.h"
#include "tests/support/record_kit.h"

namespace backfire::releases {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using v1::Release;

// A live release 1 of epoch 1, and updates that made releases before and after.
class ReleaseManagerTest : public ::testing::Test {
 protected:
  void Open(int64_t number, Release::State state, int64_t drain_epoch = 0) {
    records::Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::EndedUpdate(1, "", v1::Update::PROMOTED)));
    change.releases[1].record = testing::SmallRelease(1, Release::LIVE, 5);
    ASSERT_TRUE(repository_.Write(change).ok());
    records::Change second;
    second.added.push_back(testing::Open(testing::EndedUpdate(2, "a", v1::Update::PROMOTED),
                                         testing::LiveState().live_standing));
    second.releases[number].record = testing::SmallRelease(number, state, 4);
    second.releases[number].record.release.set_drain_epoch(drain_epoch);
    ASSERT_TRUE(repository_.Write(second).ok());
    ledger_ = *ledger::Ledger::Open(repository_);
    gateways_ = std::make_unique<GatewayRegistry>(std::chrono::seconds(10), clock_,
                                                  ledger_->release_changes());
    manager_ = std::make_unique<ReleaseManager>(*ledger_, loader_, *gateways_, clock_,
                                                std::chrono::minutes(10));
  }
  Release::State StateOf(int64_t release) {
    return repository_.ReadRelease(release)->release.state();
  }
  testing::FakeClock clock_;
  testing::FakeServices services_;
  execution::VersionLoader loader_{services_, clock_};
  store::MemoryRepository repository_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<GatewayRegistry> gateways_;
  std::unique_ptr<ReleaseManager> manager_;
};

TEST_F(ReleaseManagerTest, RetiresWhatNobodyServesOnceTheFirstLeaseHasRunOut) {
  Open(2, Release::DRAINING, 5);
  EXPECT_FALSE(manager_->RunOnce()) << "gateways that are not known yet may serve it";
  clock_.Jump(absl::Hours(1));
  EXPECT_FALSE(manager_->RunOnce()) << "leases go by a clock that does not jump";
  clock_.Advance(absl::Seconds(10));
  EXPECT_TRUE(manager_->RunOnce());
  EXPECT_EQ(StateOf(2), Release::RETIRED);
  EXPECT_THAT(services_.calls(), UnorderedElementsAre("unload host-a:1 models/ma/versions/200",
                                                      "unload host-b:1 models/mb/versions/200",
                                                      "unload host-c:1 models/mc/versions/200"));
  EXPECT_FALSE(manager_->RunOnce());
}

TEST_F(ReleaseManagerTest, WhatCannotBeUnloadedIsTriedAgainLater) {
  Open(2, Release::DRAINING, 5);
  clock_.Advance(absl::Seconds(10));
  services_.FailLoading("host-b:1", absl::UnavailableError("away"));
  EXPECT_FALSE(manager_->RunOnce());
  const size_t calls = services_.calls().size();
  EXPECT_FALSE(manager_->RunOnce());
  EXPECT_EQ(services_.calls().size(), calls) << "not at once";
  services_.FailLoading("host-b:1", absl::OkStatus());
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_TRUE(manager_->RunOnce());
  EXPECT_EQ(StateOf(2), Release::RETIRED);
}

TEST_F(ReleaseManagerTest, ASwitchLoadsFirstAndLetsGoIfItFails) {
  Open(2, Release::RETIRED);
  clock_.Advance(absl::Seconds(10));
  int committed = 0;
  const auto commit = [&] {
    ++committed;
    EXPECT_EQ(services_.loaded().size(), 3u);
    EXPECT_EQ(StateOf(2), Release::PREPARING);
    EXPECT_FALSE(manager_->RunOnce()) << "it is wanted";
    return absl::AbortedError("another was faster");
  };
  const absl::Status refused = manager_->Switch(2, commit, [] { return false; });
  EXPECT_TRUE(absl::IsAborted(refused));
  EXPECT_EQ(committed, 1);
  EXPECT_EQ(StateOf(2), Release::DRAINING);
  EXPECT_TRUE(manager_->RunOnce());
  EXPECT_THAT(services_.loaded(), IsEmpty());

  services_.FailLoading("host-c:1", absl::UnavailableError("away"));
  const auto must_not_be_called = [&] {
    ++committed;
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsUnavailable(manager_->Switch(2, must_not_be_called, [] { return false; })));
  EXPECT_EQ(committed, 1) << "what is not loaded is not switched to";
}

TEST_F(ReleaseManagerTest, ASwitchThatNobodyWaitsForIsLetGoOf) {
  Open(2, Release::RETIRED);
  std::atomic<int> asked = 0;  // By the threads that load.
  // Its caller goes while versions are loaded.
  const auto gone = [&] { return ++asked > 2; };
  const absl::Status status = manager_->Switch(
      2,
      [] {
        ADD_FAILURE() << "nobody waits for it";
        return absl::OkStatus();
      },
      gone);
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(StateOf(2), Release::DRAINING);
}

TEST_F(ReleaseManagerTest, AServiceThatGoesOnWithWhatItServesHasNoPartInASwitch) {
  Open(2, Release::RETIRED);
  records::Change change;
  const auto state = ledger_->state();
  const records::ReleaseRecord live = *state->FindRelease(1);
  records::ReleaseRecord record = *repository_.ReadRelease(2);
  // It differs from the live one in b alone.
  for (const char* same : {"a", "c"}) {
    (*record.release.mutable_versions())[same] = live.release.versions().at(same);
  }
  record.release.set_state(Release::PREPARING);
  change.releases[2] = {Release::RETIRED, record};
  ASSERT_TRUE(ledger_->Commit([&](const records::State&) { return change; }).ok());
  services_.FailLoading("host-a:1", absl::UnavailableError("hangs"));
  services_.FailLoading("host-c:1", absl::UnavailableError("hangs"));
  bool committed = false;
  const absl::Status status = manager_->Switch(
      2,
      [&] {
        committed = true;
        return absl::OkStatus();
      },
      [] { return false; });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(committed);
  EXPECT_THAT(services_.loaded(), ElementsAre("host-b:1 models/mb/versions/200"));
}

TEST_F(ReleaseManagerTest, AGatewayCannotKeepAReleaseForEver) {
  Open(2, Release::DRAINING, 5);
  v1::GatewayReport report;
  report.set_gateway("stuck");
  report.set_epoch(4);
  for (int second = 0; second < 600; ++second) {
    gateways_->Report(report);
    ASSERT_FALSE(manager_->RunOnce()) << second;
    clock_.Advance(absl::Seconds(1));
  }
  gateways_->Report(report);
  EXPECT_EQ(gateways_->Behind(5), std::vector<std::string>{"stuck"});
  EXPECT_TRUE(manager_->RunOnce());
  EXPECT_EQ(StateOf(2), Release::RETIRED);
}

TEST_F(ReleaseManagerTest, APreparationThatARestartInterruptedIsLetGoOf) {
  Open(2, Release::PREPARING);
  manager_->Start();
  EXPECT_EQ(StateOf(2), Release::DRAINING);
  ledger_->Stop();
  manager_->Stop();
}

TEST_F(ReleaseManagerTest, ReplicasGetWhatTheyLackAndLoseWhatNobodyNeeds) {
  Open(2, Release::RETIRED);
  v1::System system = testing::SmallSystem();
  system.mutable_vertices(0)->add_replicas("near-a:1");
  records::Change change;
  change.system = *records::MakeSystemRevision({1, system, {}, 1});
  ASSERT_TRUE(ledger_->Commit([&](const records::State&) { return change; }).ok());
  ASSERT_TRUE(services_.LoadVersion("near-a:1", "models/ma/versions/200", "", {}, nullptr).ok());
  ReplicaKeeper keeper(*ledger_, services_, loader_);
  services_.FailLoading("near-a:1", absl::UnavailableError("away"));
  keeper.RunOnce();
  services_.FailLoading("near-a:1", absl::OkStatus());
  keeper.RunOnce();
  EXPECT_THAT(services_.loaded(), ElementsAre("near-a:1 models/ma/versions/100"));
}

}  // namespace
}  // namespace backfire::releases
