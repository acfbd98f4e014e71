#include "orchestrator/records/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::records {
namespace {

using ::testing::HasSubstr;

std::string FaultOf(const State& state, const Change& change) {
  const absl::Status status = Check(state, change);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  return std::string(status.message());
}

TEST(CheckTest, HoldsAChangeAgainstTheTableAndWhatTheStateKnows) {
  const State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  const OpenUpdate& update = *state.FindUpdate(2);
  Change change;
  ChangeUpdate(2, update.update(), change).update.set_state(v1::Update::TRAINING_CANDIDATE);
  ChangeStep({2, 0}, update.step(0), change).record.step.set_state(v1::Step::RUNNING);
  EXPECT_TRUE(Check(state, change).ok());

  change.updates.at(2).update.set_state(v1::Update::DECIDED);
  EXPECT_THAT(FaultOf(state, change), HasSubstr("updates/2 can't go from PROPOSED to DECIDED"));
  change.updates.at(2).from = v1::Update::EVALUATING;
  EXPECT_THAT(FaultOf(state, change), HasSubstr("updates/2 is PROPOSED, not EVALUATING"));
  change.updates.clear();
  change.steps.begin()->second.record.step.set_state(v1::Step::SUCCEEDED);
  EXPECT_THAT(FaultOf(state, change), HasSubstr("step train/a/0 can't go from WAITING"));
}

TEST(CheckTest, ThereIsOneLiveReleaseAndItStandsOnSomething) {
  const State state = testing::LiveState();
  Change change;
  change.releases[2].from = v1::Release::STAGED;
  change.releases[2].record = testing::SmallRelease(2, v1::Release::LIVE, 2);
  EXPECT_THAT(FaultOf(state, change), HasSubstr("releases/1 is"));
  ChangeRelease(1, *state.FindRelease(1), change).record.release.set_state(v1::Release::DRAINING);
  EXPECT_THAT(FaultOf(state, change), HasSubstr("nobody says what it stands on"));
  change.live_standing = state.live_standing;
  EXPECT_TRUE(Check(state, change).ok());
  const State next = Apply(state, change);
  EXPECT_EQ(next.live, 2);
  EXPECT_EQ(next.epoch, 2);
}

TEST(CheckTest, NumbersOfUpdatesHaveNoGaps) {
  const State state = testing::LiveState();
  Change change;
  change.added.push_back(testing::Open(testing::SmallUpdate(3, "a"), state.live_standing));
  EXPECT_THAT(FaultOf(state, change), HasSubstr("updates/3 is not the next"));
}

TEST(ApplyTest, WhatHasEndedIsHistory) {
  State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  Change change;
  ChangeUpdate(2, state.FindUpdate(2)->update(), change).update.set_state(v1::Update::FAILED);
  EXPECT_EQ(Apply(state, change).FindUpdate(2), nullptr);
  // But not while a job of it runs.
  change.steps.clear();
  ChangeStep({2, 0}, state.FindUpdate(2)->step(0), change).record.step.set_state(v1::Step::RUNNING);
  state = Apply(state, change);
  ASSERT_NE(state.FindUpdate(2), nullptr);
  Change end;
  ChangeStep({2, 0}, state.FindUpdate(2)->step(0), end).record.step.set_state(v1::Step::SUCCEEDED);
  EXPECT_EQ(Apply(state, end).FindUpdate(2), nullptr);

  Change retired;
  ChangeRelease(1, *state.FindRelease(1), retired).record.release.set_state(v1::Release::RETIRED);
  EXPECT_EQ(Apply(state, retired).FindRelease(1), nullptr);
  EXPECT_EQ(Apply(state, retired).last_release, 1) << "numbers are not given twice";
}

// Who waits for whom, by vertices in the order of proposal: x -> a -> b, x -> c.
TEST(ApplyTest, UpdatesThatMeetWaitForTheEarlier) {
  State state = testing::LiveState();
  for (const char* vertex : {"a", "b", "c", "b", "c"}) {
    state = testing::WithUpdate(state, testing::SmallUpdate(state.last_update + 1, vertex));
  }
  using Waits = std::map<int64_t, int64_t>;
  EXPECT_EQ(state.waits_for, (Waits{{3, 2}, {5, 2}, {6, 4}}));
  const auto set = [&](int64_t number, v1::Update::State is) {
    Change change;
    ChangeUpdate(number, state.FindUpdate(number)->update(), change).update.set_state(is);
    state = Apply(state, change);
  };
  const auto second = state.updates.at(2);
  set(2, v1::Update::CANCELLED);
  EXPECT_EQ(state.waits_for, (Waits{{5, 3}, {6, 4}}));
  set(3, v1::Update::FAILED);
  EXPECT_EQ(state.waits_for, (Waits{{6, 4}}));
  // One that goes on again has its old place.
  Change reopened;
  reopened.reopened.push_back(second);
  state = Apply(state, reopened);
  EXPECT_EQ(state.waits_for, (Waits{{5, 2}, {6, 4}}));
}

}  // namespace
}  // namespace backfire::records
