#include "orchestrator/planning/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::planning {
namespace {

using records::State;
using records::StepRef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kRebaseTime = absl::FromUnixSeconds(1000);

std::vector<std::string> NamesOf(const State& state, const std::vector<StepRef>& refs) {
  std::vector<std::string> ids;
  for (const StepRef& ref : refs) {
    ids.push_back(std::to_string(ref.update) + " " +
                  state.FindUpdate(ref.update)->step(ref.position).step.id());
  }
  return ids;
}

State Set(const State& state, StepRef ref, v1::Step::State is) {
  records::Change change;
  records::ChangeStep(ref, state.FindUpdate(ref.update)->step(ref.position), change)
      .record.step.set_state(is);
  return records::Apply(state, change);
}

State SetUpdate(const State& state, int64_t number, v1::Update::State is) {
  records::Change change;
  records::ChangeUpdate(number, state.FindUpdate(number)->update(), change).update.set_state(is);
  return records::Apply(state, change);
}

TEST(ScheduleTest, UpdatesRunSideBySideUnlessTheyMeetAsFarAsThereArePlaces) {
  State state = testing::LiveState();
  state = testing::WithUpdate(state, testing::SmallUpdate(2, "a"));
  state = testing::WithUpdate(state, testing::SmallUpdate(3, "b"));  // Below a.
  state = testing::WithUpdate(state, testing::SmallUpdate(4, "c"));
  EXPECT_THAT(NamesOf(state, MakeSchedule(state, {}).start),
              ElementsAre("2 train/a/0", "2 train/a/1", "4 train/c/0", "4 train/c/1"));
  // Four places, of which two are taken.
  state = Set(Set(state, {2, 0}, v1::Step::RUNNING), {2, 1}, v1::Step::RUNNING);
  const Schedule next = MakeSchedule(state, {{2, 0}, {2, 1}});
  EXPECT_THAT(NamesOf(state, next.start), ElementsAre("4 train/c/0", "4 train/c/1"));
  EXPECT_THAT(next.resume, IsEmpty());
  EXPECT_THAT(MakeSchedule(state, {{2, 0}, {2, 1}, {8, 0}}).start.size(), 1u);
}

TEST(ScheduleTest, WhatRanWhenAProcessEndedIsResumedAndWhatWasCancelledIsStopped) {
  State state = testing::LiveState();
  state = testing::WithUpdate(state, testing::SmallUpdate(2, "a"));
  state = Set(state, {2, 0}, v1::Step::RUNNING);
  Schedule schedule = MakeSchedule(state, {});
  EXPECT_THAT(NamesOf(state, schedule.resume), ElementsAre("2 train/a/0"));
  EXPECT_THAT(NamesOf(state, schedule.start), ElementsAre("2 train/a/1"));
  // Of an update that failed, what ran beside goes on to its end.
  const State failed = SetUpdate(state, 2, v1::Update::FAILED);
  schedule = MakeSchedule(failed, {});
  EXPECT_THAT(NamesOf(failed, schedule.resume), ElementsAre("2 train/a/0"));
  EXPECT_THAT(schedule.start, IsEmpty());

  state = SetUpdate(state, 2, v1::Update::CANCELLED);
  for (const std::set<StepRef>& running : {std::set<StepRef>{}, std::set<StepRef>{{2, 0}}}) {
    schedule = MakeSchedule(state, running);
    EXPECT_THAT(NamesOf(state, schedule.cancel), ElementsAre("2 train/a/0"));
    EXPECT_THAT(schedule.resume, IsEmpty());
    EXPECT_THAT(schedule.start, IsEmpty());
  }
}

TEST(StartStepTest, NotesTheStepAndThePhase) {
  const State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  const auto change = StartStep(state, {2, 0});
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(records::Check(state, *change).ok());
  EXPECT_EQ(change->steps.at({2, 0}).record.step.state(), v1::Step::RUNNING);
  EXPECT_EQ(change->updates.at(2).update.state(), v1::Update::TRAINING_CANDIDATE);
  const State started = records::Apply(state, *change);
  EXPECT_TRUE(StartStep(started, {2, 1})->updates.empty()) << "the phase is the same";
  EXPECT_TRUE(absl::IsAborted(StartStep(started, {2, 0}).status())) << "it runs";
  EXPECT_TRUE(absl::IsAborted(StartStep(started, {2, 2}).status())) << "what it needs is not done";
  EXPECT_TRUE(absl::IsAborted(StartStep(started, {7, 0}).status()));
}

// The live release is replaced by updates/2's while updates/3 waits.
State WithAnotherLive(const State& state, records::UpdateRecord promoted) {
  records::Change change;
  records::ChangeRelease(1, *state.FindRelease(1), change)
      .record.release.set_state(v1::Release::DRAINING);
  change.releases[2].record = testing::SmallRelease(2, v1::Release::LIVE, 2);
  change.live_standing = testing::Open(std::move(promoted), state.live_standing)->MakeStanding();
  return records::Apply(state, change);
}

TEST(RebaseTest, WhatHasNotBegunIsComparedWithWhatIsLiveWhenItBegins) {
  State state = testing::LiveState();
  state.last_update = 2;
  state = testing::WithUpdate(state, testing::SmallUpdate(3, "b"));
  const State before = state;
  state = WithAnotherLive(state, testing::EndedUpdate(2, "c", v1::Update::PROMOTED));
  EXPECT_THAT(MakeSchedule(state, {}).rebase, ElementsAre(3));
  EXPECT_THAT(MakeSchedule(state, {}).start, IsEmpty());
  Forecast forecast;
  forecast.release = 1;
  EXPECT_TRUE(absl::IsAborted(Rebase(state, 3, forecast, kRebaseTime).status()))
      << "of another release";
  forecast.release = 2;
  forecast.sensitivities.emplace_back().set_vertex("b");
  const auto change = Rebase(state, 3, forecast, kRebaseTime);
  ASSERT_TRUE(change.ok()) << change.status();
  const State rebased = records::Apply(state, *change);
  const records::OpenUpdate& update = *rebased.FindUpdate(3);
  EXPECT_EQ(update.update().baseline_release(), "releases/2");
  EXPECT_EQ(update.update().sensitivities_size(), 1);
  EXPECT_EQ(update.base()->number(), 2);
  EXPECT_TRUE(absl::IsAborted(Rebase(rebased, 3, forecast, kRebaseTime).status()))
      << "nothing to do";

  // One that has begun goes on as it was.
  const State begun = WithAnotherLive(Set(before, {3, 0}, v1::Step::RUNNING),
                                      testing::EndedUpdate(2, "c", v1::Update::PROMOTED));
  EXPECT_THAT(MakeSchedule(begun, {{3, 0}}).rebase, IsEmpty());
}

TEST(RebaseTest, WhatCannotBeComparedIsRejected) {
  State state = testing::LiveState();
  state.last_update = 2;
  state = testing::WithUpdate(state, testing::SmallUpdate(3, "b"));
  state = WithAnotherLive(state, testing::EndedUpdate(2, "c", v1::Update::PROMOTED, 1));
  const auto change = Rebase(state, 3, Forecast{}, kRebaseTime);
  ASSERT_TRUE(change.ok()) << change.status();
  const v1::Update& rejected = change->updates.at(3).update;
  EXPECT_EQ(rejected.state(), v1::Update::REJECTED);
  EXPECT_THAT(rejected.error_message(),
              HasSubstr("releases/2 became the live one while this update waited"));
  EXPECT_THAT(rejected.error_message(), HasSubstr("too few replicates"));
  EXPECT_EQ(rejected.end_time().seconds(), 1000);
}

TEST(RebaseTest, WhatNeedsMoreReplicatesWaitsForThem) {
  State state = testing::LackingState();
  state = testing::WithUpdate(state, testing::SmallCompletion(state, 3));
  records::UpdateRecord record = testing::SmallUpdate(4, "c");
  record.update.set_baseline_release("releases/2");
  state = testing::WithUpdate(state, record);
  EXPECT_EQ(state.waits_for, (std::map<int64_t, int64_t>{{4, 3}})) << "although they don't meet";
  EXPECT_THAT(NamesOf(state, MakeSchedule(state, {}).start), ElementsAre("3 train/b/1"));
  EXPECT_THAT(MakeSchedule(state, {}).rebase, IsEmpty());

  state = SetUpdate(state, 3, v1::Update::CANCELLED);
  EXPECT_THAT(state.waits_for, IsEmpty());
  EXPECT_THAT(MakeSchedule(state, {}).rebase, ElementsAre(4));
  const auto change = Rebase(state, 4, Forecast{}, kRebaseTime);
  ASSERT_TRUE(change.ok()) << change.status();
  const v1::Update& rejected = change->updates.at(4).update;
  EXPECT_EQ(rejected.state(), v1::Update::REJECTED);
  EXPECT_THAT(rejected.error_message(),
              HasSubstr("releases/2 was to get more replicates while this update waited, and did "
                        "not"));
}

TEST(RebaseTest, ReplicatesOfWhatIsLiveNoMoreAreNotCompleted) {
  for (const std::set<std::string>& proposed : {std::set<std::string>{}, {"b"}}) {
    State state = testing::LackingState();
    records::UpdateRecord record = testing::SmallCompletion(state, 3, proposed);
    record.update.set_baseline_release("releases/1");
    state = testing::WithUpdate(state, record);
    EXPECT_THAT(MakeSchedule(state, {}).rebase, ElementsAre(3));
    const auto change = Rebase(state, 3, Forecast{}, kRebaseTime);
    ASSERT_TRUE(change.ok()) << change.status();
    EXPECT_EQ(change->updates.at(3).update.state(), v1::Update::REJECTED);
    EXPECT_THAT(change->updates.at(3).update.error_message(), HasSubstr("it has other versions"));
  }
}

TEST(ProposedLineageTest, IsTheLiveReleases) {
  const State state = testing::LiveState();
  const auto system = testing::SmallRevision();
  v1::Version version;
  version.set_name("models/mb/versions/9");
  v1::Parent& parent = *version.add_lineage();
  parent.set_input("x");
  parent.set_output("y");
  parent.set_digest("digest-a100");
  EXPECT_TRUE(CheckProposedLineage(version, system->graph, "b", *state.live_standing).ok());
  parent.set_digest("another");
  const absl::Status status =
      CheckProposedLineage(version, system->graph, "b", *state.live_standing);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("x by models/ma/versions/100"));
  version.clear_lineage();
  EXPECT_FALSE(CheckProposedLineage(version, system->graph, "b", *state.live_standing).ok());
}

}  // namespace
}  // namespace backfire::planning
