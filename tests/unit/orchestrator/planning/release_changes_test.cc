#include "orchestrator/planning/release_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::planning {
namespace {

using records::Change;
using records::State;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kSwitchTime = absl::FromUnixSeconds(1000);

TEST(MakeLiveTest, TheOneBeforeDrainsFromTheNextEpochOn) {
  const State state = testing::LiveState();
  Change change;
  v1::ReleaseEvent event;
  event.set_kind(v1::ReleaseEvent::PROMOTED);
  event.set_reason("because");
  event.set_verdict(v1::Verdict::SAFE);
  MakeLive(state, 2, testing::SmallRelease(2, v1::Release::STAGED), event, kSwitchTime, change);
  const v1::Release& live = change.releases.at(2).record.release;
  EXPECT_EQ(live.state(), v1::Release::LIVE);
  EXPECT_EQ(live.epoch(), 2);
  EXPECT_EQ(live.reason(), "because");
  EXPECT_EQ(live.history(0).time().seconds(), 1000);
  const v1::Release& replaced = change.releases.at(1).record.release;
  EXPECT_EQ(replaced.state(), v1::Release::DRAINING);
  EXPECT_EQ(replaced.drain_epoch(), 2);
  EXPECT_EQ(replaced.history(0).kind(), v1::ReleaseEvent::REPLACED);
  EXPECT_EQ(replaced.history(0).reason(), "by releases/2");
  EXPECT_EQ(replaced.history(0).verdict(), v1::Verdict::OUTCOME_UNSPECIFIED);
}

TEST(AbandonReleaseTest, TakesBackWhatWasNotServed) {
  for (const auto is : {v1::Release::PREPARING, v1::Release::STAGED, v1::Release::LIVE}) {
    State state = testing::LiveState();
    Change before;
    before.releases[5].record = testing::SmallRelease(5, is);
    if (is == v1::Release::LIVE) before.live_standing = state.live_standing;
    state = records::Apply(state, before);
    v1::Update update;
    update.set_release("releases/5");
    Change change;
    AbandonRelease(state, update, "no reason", 7, kSwitchTime, change);
    const v1::Release& release = change.releases.at(5).record.release;
    EXPECT_EQ(release.state(), is == v1::Release::LIVE ? is : v1::Release::DRAINING);
    EXPECT_EQ(release.history_size(), is == v1::Release::LIVE ? 0 : 1);
    EXPECT_EQ(release.drain_epoch(), is == v1::Release::LIVE ? 0 : 7);
  }
  Change change;
  AbandonRelease(testing::LiveState(), v1::Update(), "", 7, kSwitchTime, change);
  EXPECT_TRUE(change.empty()) << "it has none";
}

// x -> a -> b, x -> c: updates/2 of a is promoted as releases/2.
class SettleOthersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    state_ = testing::LiveState();
    promoted_ =
        testing::Open(testing::EndedUpdate(2, "a", v1::Update::DECIDED), state_.live_standing);
    Change releases;
    for (const int64_t number : {2, 3, 4}) {
      releases.releases[number].record = testing::SmallRelease(number, v1::Release::STAGED);
    }
    state_ = records::Apply(state_, releases);
    state_.last_update = 4;
  }
  Change Settle(const std::vector<std::shared_ptr<const records::OpenUpdate>>& decided) {
    Change change;
    change.live_standing = promoted_->MakeStanding();
    MakeLive(state_, 2, *state_.FindRelease(2), v1::ReleaseEvent(), kSwitchTime, change);
    const absl::Status status = SettleOthers(state_, *promoted_, 2, decided, kSwitchTime, change);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(records::Check(state_, change).ok()) << records::Check(state_, change);
    return change;
  }
  std::shared_ptr<const records::OpenUpdate> Decided(int64_t number, const std::string& vertex) {
    return testing::Open(testing::EndedUpdate(number, vertex, v1::Update::DECIDED),
                         state_.live_standing);
  }
  State state_;
  std::shared_ptr<const records::OpenUpdate> promoted_;
};

TEST_F(SettleOthersTest, WhatTouchesTheSameIsRejected) {
  const Change change = Settle({promoted_, Decided(3, "b")});
  EXPECT_EQ(change.updates.at(3).update.state(), v1::Update::REJECTED);
  EXPECT_EQ(change.updates.count(2), 0u);
  const v1::Release& release = change.releases.at(3).record.release;
  EXPECT_EQ(release.state(), v1::Release::DRAINING);
  EXPECT_EQ(release.drain_epoch(), 2);
  EXPECT_THAT(release.history(0).reason(), HasSubstr("updates/2 was promoted"));
}

TEST_F(SettleOthersTest, WhatTouchesNothingOfItKeepsItsVerdictAndGetsBothChanges) {
  const Change change = Settle({promoted_, Decided(3, "c")});
  const records::UpdateChange& kept = change.updates.at(3);
  EXPECT_EQ(kept.update.state(), v1::Update::DECIDED);
  EXPECT_EQ(kept.update.baseline_release(), "releases/2");
  EXPECT_EQ(kept.base->number(), 2);
  EXPECT_EQ(kept.update.release(), "releases/5");
  EXPECT_EQ(change.releases.at(3).record.release.state(), v1::Release::DRAINING);
  const records::ReleaseRecord& combined = change.releases.at(5).record;
  EXPECT_EQ(combined.release.state(), v1::Release::STAGED);
  EXPECT_EQ(combined.revision, 1);
  EXPECT_EQ(combined.release.update(), "updates/3");
  EXPECT_EQ(combined.release.versions().at("a"), "models/ma/versions/200");
  EXPECT_EQ(combined.release.versions().at("c"), "models/mc/versions/300");
  EXPECT_EQ(combined.release.epoch(), 0);
  EXPECT_THAT(combined.release.history(), IsEmpty());
}

TEST_F(SettleOthersTest, WhatRunsGoesOnAndWhatWasComparedWithAnotherIsLeftAlone) {
  records::UpdateRecord runs = testing::SmallUpdate(5, "b");
  runs.update.set_state(v1::Update::TRAINING_CANDIDATE);
  state_ = testing::WithUpdate(state_, runs);
  records::UpdateRecord other = testing::EndedUpdate(4, "b", v1::Update::DECIDED);
  other.update.set_baseline_release("releases/7");
  const Change change = Settle({promoted_, testing::Open(other, state_.live_standing)});
  EXPECT_THAT(change.updates, IsEmpty());
}

}  // namespace
}  // namespace backfire::planning
