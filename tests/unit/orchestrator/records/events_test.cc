#include "orchestrator/records/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/record_kit.h"

namespace backfire::records {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// `subject KIND actor: message`.
std::vector<std::string> Told(const State& before, const Change& change) {
  std::vector<std::string> told;
  for (const v1::Event& event : EventsOf(before, change)) {
    told.push_back(event.subject() + " " + event.kind() + " " + event.actor() + ": " +
                   event.message());
  }
  return told;
}

Change Move(const State& state, int64_t number, v1::Update::State to) {
  Change change;
  ChangeUpdate(number, state.FindUpdate(number)->update(), change).update.set_state(to);
  return change;
}

TEST(EventsTest, AProposalSaysWhatByWhomAndWhy) {
  const State state = testing::LiveState();
  UpdateRecord record = testing::SmallUpdate(2, "a");
  record.update.set_actor("ada");
  record.update.set_reason("nightly");
  Change change;
  change.added.push_back(testing::Open(record, state.live_standing));
  EXPECT_THAT(
      Told(state, change),
      ElementsAre("updates/2 PROPOSED ada: a by recipe fit, compared with releases/1: nightly"));
}

TEST(EventsTest, ABeginningAPhaseAndALookAreTold) {
  State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  EXPECT_THAT(Told(state, Move(state, 2, v1::Update::TRAINING_CANDIDATE)),
              ElementsAre("updates/2 STARTED : trains what is proposed"));
  state = Apply(state, Move(state, 2, v1::Update::TRAINING_CANDIDATE));
  EXPECT_THAT(Told(state, Move(state, 2, v1::Update::RETRAINING)),
              ElementsAre("updates/2 RETRAINING : retrains the descendants"));
  Change look = Move(state, 2, v1::Update::TRAINING_CANDIDATE);
  v1::Verdict& verdict = *look.updates.at(2).update.add_earlier_looks();
  verdict.set_outcome(v1::Verdict::INCONCLUSIVE);
  verdict.set_look(1);
  verdict.set_planned_looks(3);
  verdict.set_replicates(5);
  EXPECT_THAT(Told(state, look),
              ElementsAre("updates/2 LOOKED : look 1 of 3, 5 replicates: INCONCLUSIVE"));
}

TEST(EventsTest, AFailureSaysWhichStepAndARetryWho) {
  State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  Change change = Move(state, 2, v1::Update::FAILED);
  change.updates.at(2).update.set_error_message("step train/a/0: disk full");
  EXPECT_THAT(Told(state, change),
              ElementsAre("updates/2 STEP_FAILED : step train/a/0: disk full"));
  Change retry;
  retry.actor = "bob";
  v1::Update failed = change.updates.at(2).update;
  ChangeUpdate(2, failed, retry).update.set_state(v1::Update::PROPOSED);
  EXPECT_THAT(Told(state, retry),
              ElementsAre("updates/2 RETRIED bob: goes on from where it failed"));
}

TEST(EventsTest, APromotionAndARollbackNameBothReleases) {
  const State state = testing::LiveState();
  Change change;
  v1::ReleaseEvent event;
  event.set_actor("ada");
  const auto switch_to = [&](v1::ReleaseEvent::Kind kind, const std::string& reason) {
    change.releases.clear();
    v1::Release& before = ChangeRelease(1, *state.FindRelease(1), change).record.release;
    before.set_state(v1::Release::DRAINING);
    event.set_kind(v1::ReleaseEvent::REPLACED);
    event.set_reason("by releases/2");
    *before.add_history() = event;
    change.releases[2].from = v1::Release::STAGED;
    change.releases[2].record = testing::SmallRelease(2, v1::Release::LIVE, 2);
    event.set_kind(kind);
    event.set_reason(reason);
    *change.releases[2].record.release.add_history() = event;
  };
  switch_to(v1::ReleaseEvent::PROMOTED, "good");
  EXPECT_THAT(Told(state, change),
              ElementsAre("releases/1 REPLACED ada: by releases/2",
                          "releases/2 LIVE ada: in place of releases/1: good"));
  switch_to(v1::ReleaseEvent::ROLLED_BACK_TO, "bad nights");
  EXPECT_THAT(Told(state, change),
              ElementsAre("releases/1 REPLACED ada: by releases/2",
                          "releases/2 ROLLED_BACK_TO ada: in place of releases/1: bad nights"));
}

TEST(EventsTest, WhatIsLetGoSaysWhyAndThatItIsGone) {
  const State state = testing::LiveState();
  Change change;
  change.releases[2].from = v1::Release::STAGED;
  change.releases[2].record = testing::SmallRelease(2, v1::Release::DRAINING);
  v1::ReleaseEvent& event = *change.releases[2].record.release.add_history();
  event.set_kind(v1::ReleaseEvent::ABANDONED);
  event.set_reason("its update was cancelled: superseded");
  change.releases[3].from = v1::Release::DRAINING;
  change.releases[3].record = testing::SmallRelease(3, v1::Release::RETIRED);
  EXPECT_THAT(Told(state, change),
              ElementsAre("releases/2 ABANDONED : its update was cancelled: superseded",
                          "releases/3 RETIRED : unloaded where no other needs it"));
}

TEST(EventsTest, ASystemIsToldOfOnceHoweverOftenItIsApplied) {
  const State state = testing::LiveState();
  Change change;
  change.actor = "ada";
  change.system = testing::SmallRevision();
  EXPECT_THAT(Told(state, change), IsEmpty()) << "it is there already";
  EXPECT_THAT(Told(State(), change), ElementsAre(" SYSTEM_APPLIED ada: system small, revision 1"));
}

TEST(EventsTest, WhatMovesNothingIsNoEvent) {
  const State state = testing::WithUpdate(testing::LiveState(), testing::SmallUpdate(2, "a"));
  EXPECT_THAT(Told(state, Move(state, 2, v1::Update::PROPOSED)), IsEmpty());
  Change step;
  ChangeStep({2, 0}, state.FindUpdate(2)->step(0), step).record.step.set_state(v1::Step::RUNNING);
  EXPECT_THAT(Told(state, step), IsEmpty());
}

}  // namespace
}  // namespace backfire::records
