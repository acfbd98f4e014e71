#include "orchestrator/records/open_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/random.h"
#include "tests/support/record_kit.h"

namespace backfire::records {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> ReadyIds(const OpenUpdate& update, size_t most = 100) {
  std::vector<std::string> ids;
  for (const size_t position : update.Ready(most)) ids.push_back(update.step(position).step.id());
  return ids;
}

std::shared_ptr<const OpenUpdate> Set(const OpenUpdate& update, const std::string& id,
                                      v1::Step::State state) {
  const size_t position = testing::PositionOf(update, id);
  StepRecord record = update.step(position);
  record.step.set_state(state);
  return update.With(nullptr, nullptr, {{position, record}});
}

TEST(OpenUpdateTest, StepsAreReadyOnceWhatTheyNeedHasSucceeded) {
  auto update = testing::Open(testing::SmallUpdate(2, "a"));
  EXPECT_THAT(ReadyIds(*update), ElementsAre("train/a/0", "train/a/1"));
  EXPECT_THAT(ReadyIds(*update, 1), ElementsAre("train/a/0"));
  EXPECT_FALSE(update->has_begun());
  update = Set(*update, "train/a/0", v1::Step::RUNNING);
  EXPECT_THAT(ReadyIds(*update), ElementsAre("train/a/1"));
  EXPECT_TRUE(update->has_begun());
  EXPECT_TRUE(update->HasRunning());
  update = Set(*update, "train/a/0", v1::Step::SUCCEEDED);
  EXPECT_THAT(ReadyIds(*update),
              ElementsAre("train/a/1", "evaluate/a/0", "train/b/0", "evaluate-swapped/b/0"));
  EXPECT_FALSE(update->HasRunning());
  // It is done again: what needs it waits again.
  update = Set(*update, "train/a/0", v1::Step::WAITING);
  EXPECT_THAT(ReadyIds(*update), ElementsAre("train/a/0", "train/a/1"));
}

TEST(OpenUpdateTest, AChangeLeavesTheOriginalAsItWas) {
  const auto update = testing::Open(testing::SmallUpdate(2, "a"));
  const auto changed = Set(*update, "train/a/0", v1::Step::RUNNING);
  EXPECT_EQ(update->step(0).step.state(), v1::Step::WAITING);
  EXPECT_EQ(changed->step(0).step.state(), v1::Step::RUNNING);
  EXPECT_EQ(update->share_step(1), changed->share_step(1)) << "what did not change is shared";
}

TEST(OpenUpdateTest, StepsOfALaterLookAreNotDueAndHoldNothingUp) {
  UpdateRecord record = testing::SmallUpdate(2, "b");
  record.update.set_replicates(1);
  auto update = testing::Open(record);
  EXPECT_THAT(ReadyIds(*update), ElementsAre("train/b/0"));
  update = Set(*update, "train/b/0", v1::Step::SUCCEEDED);
  EXPECT_EQ(update->Phase(), v1::Update::EVALUATING_CANDIDATE);
  update = Set(*update, "evaluate/b/0", v1::Step::SUCCEEDED);
  EXPECT_THAT(ReadyIds(*update), ElementsAre("load/b/0"));
  EXPECT_EQ(update->unfinished().steps, 1);
  EXPECT_EQ(update->unfinished().loads, 1);
  record.update.set_replicates(2);
  update = update->With(std::make_shared<const v1::Update>(record.update), nullptr, {});
  EXPECT_THAT(ReadyIds(*update), ElementsAre("train/b/1"));
  EXPECT_EQ(update->Phase(), v1::Update::TRAINING_CANDIDATE);
}

TEST(OpenUpdateTest, AProposedVersionIsNoBeginning) {
  UpdateRecord record = testing::SmallUpdate(2, "b");
  record.update.set_version("models/mb/versions/7");
  for (StepRecord& step : record.steps) {
    if (step.step.kind() == v1::Step::TRAIN) step.step.set_state(v1::Step::SUCCEEDED);
  }
  EXPECT_FALSE(testing::Open(record)->has_begun());
}

TEST(OpenUpdateTest, FindsItsOwnStepsThenWhatItInherits) {
  const State state = testing::LiveState();
  UpdateRecord record = testing::SmallUpdate(2, "b");
  testing::Succeed(record, 0);
  const auto update = testing::Open(record, state.live_standing);
  EXPECT_EQ(update->Find("train/b/0")->step->version().name(), "models/mb/versions/200");
  EXPECT_EQ(update->Find("train/a/0")->step->version().name(), "models/ma/versions/100");
  EXPECT_TRUE(absl::IsInternal(update->Find("train/z/0").status()));
  const auto standing = update->MakeStanding();
  EXPECT_EQ(standing->Find("train/b/0")->ref.update, 2);
  EXPECT_EQ(standing->Find("train/a/1")->ref.update, 1);
  EXPECT_FALSE(standing->Has("load/b/0"));
  // Evaluations don't repeat the versions of their trainings.
  Standing slim(1, std::make_shared<const v1::Update>());
  for (const auto kind : {v1::Step::TRAIN, v1::Step::EVALUATE}) {
    v1::Step step;
    step.set_id(v1::Step::Kind_Name(kind));
    step.set_kind(kind);
    step.mutable_version()->set_name("models/ma/versions/1");
    slim.Set({1, 0}, step);
  }
  EXPECT_TRUE(slim.Find("TRAIN")->step->has_version());
  EXPECT_FALSE(slim.Find("EVALUATE")->step->has_version());
}

TEST(StandingTest, ReplicatesThatALaterUpdateLeftOutAreNotInherited) {
  Standing standing(2, std::make_shared<const v1::Update>());
  v1::Step step;
  step.set_kind(v1::Step::COMMIT);
  for (const char* id : {"commit/a/0/test", "commit/b/1/test"}) {
    step.set_id(id);
    standing.Set({2, 7}, step);
  }
  EXPECT_FALSE(standing.Inherits(1, "commit/a/0/test")) << "it is there";
  EXPECT_FALSE(standing.Inherits(1, "commit/a/1/test")) << "of other versions than replicate 0";
  EXPECT_TRUE(standing.Inherits(2, "commit/a/1/test")) << "of the same update";
  EXPECT_TRUE(standing.Inherits(1, "commit/a/1/train")) << "another split";
  EXPECT_TRUE(standing.Inherits(1, "commit/b/0/test")) << "only replicate 1 was completed";
  Standing before(1, std::make_shared<const v1::Update>());
  for (const char* id : {"commit/a/1/test", "commit/a/1/train", "commit/b/0/test"}) {
    step.set_id(id);
    before.Set({1, 3}, step);
  }
  standing.Inherit(before);
  EXPECT_FALSE(standing.Has("commit/a/1/test"));
  EXPECT_EQ(standing.Find("commit/a/1/train")->ref.update, 1);
  EXPECT_EQ(standing.Find("commit/b/0/test")->step->id(), "commit/b/0/test");
  EXPECT_EQ(standing.Find("commit/b/1/test")->ref.update, 2);
}

// What is counted step by step is what is counted from nothing, over any sequence of changes and
// over the borders of the tree that they are in.
TEST(OpenUpdateTest, WhatIsKeptIsWhatWouldBeFoundAnew) {
  Random random(3);
  const UpdateRecord record = testing::SmallUpdate(1, "", /*replicates=*/40);
  auto update = testing::Open(record);
  ASSERT_GT(update->step_count(), 200u);
  for (int round = 0; round < 400; ++round) {
    const std::vector<size_t> ready = update->Ready(1000);
    const std::vector<size_t> running = update->Running();
    OpenUpdate::StepChanges changes;
    for (const auto* positions : {&ready, &running}) {
      if (positions->empty()) continue;
      const size_t position =
          (*positions)[static_cast<size_t>(random.Below(static_cast<int64_t>(positions->size())))];
      StepRecord changed = update->step(position);
      changed.step.set_state(positions == &ready ? v1::Step::RUNNING : v1::Step::SUCCEEDED);
      changes.emplace_back(position, changed);
    }
    if (changes.empty()) break;
    update = update->With(nullptr, nullptr, changes);
    UpdateRecord whole = record;
    for (size_t i = 0; i < update->step_count(); ++i) whole.steps[i] = update->step(i);
    const auto anew = testing::Open(whole);
    ASSERT_EQ(update->Ready(1000), anew->Ready(1000)) << round;
    ASSERT_EQ(update->Running(), anew->Running());
    ASSERT_EQ(update->unfinished().steps, anew->unfinished().steps);
    ASSERT_EQ(update->unfinished().loads, anew->unfinished().loads);
    ASSERT_EQ(update->Phase(), anew->Phase());
    ASSERT_EQ(update->has_begun(), anew->has_begun());
  }
  EXPECT_EQ(update->Ready(10), std::vector<size_t>());
}

}  // namespace
}  // namespace backfire::records
