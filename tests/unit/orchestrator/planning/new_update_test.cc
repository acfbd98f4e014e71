#include "orchestrator/planning/new_update.h"

#include <gtest/gtest.h>

namespace backfire::planning {
namespace {

TEST(NewUpdateTest, HasTheNextNumberAndTheTime) {
  records::State state;
  state.last_update = 6;
  v1::Step step;
  step.set_id("train/a/0");
  const auto update = NewUpdate(state, {step}, absl::FromUnixSeconds(12) + absl::Nanoseconds(5));
  EXPECT_EQ(update.number, 7);
  EXPECT_EQ(update.update.name(), "updates/7");
  EXPECT_EQ(update.update.state(), v1::Update::PROPOSED);
  EXPECT_EQ(update.update.create_time().seconds(), 12);
  EXPECT_EQ(update.update.create_time().nanos(), 5);
  EXPECT_EQ(update.steps.at(0).attempt, 1);
}

TEST(TakeProposedVersionTest, StandsForEveryReplicateOfItsVertexAlone) {
  records::UpdateRecord update;
  for (const char* vertex : {"m", "m", "child"}) {
    records::StepRecord& record = update.steps.emplace_back();
    record.step.set_kind(v1::Step::TRAIN);
    record.step.set_state(v1::Step::WAITING);
    record.step.set_vertex(vertex);
  }
  update.steps.emplace_back().step.set_kind(v1::Step::EVALUATE);
  update.steps.back().step.set_vertex("m");
  update.steps.back().step.set_state(v1::Step::WAITING);
  v1::Version version;
  version.set_name("models/m/versions/3");
  TakeProposedVersion("m", version, update);
  for (const size_t i : {0, 1}) {
    EXPECT_EQ(update.steps[i].step.state(), v1::Step::SUCCEEDED);
    EXPECT_EQ(update.steps[i].step.version().name(), "models/m/versions/3");
  }
  EXPECT_EQ(update.steps[2].step.state(), v1::Step::WAITING);
  EXPECT_EQ(update.steps[3].step.state(), v1::Step::WAITING);
}

}  // namespace
}  // namespace backfire::planning
