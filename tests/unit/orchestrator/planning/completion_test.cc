#include "orchestrator/planning/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/planning/plan.h"
#include "orchestrator/records/update_state.h"
#include "tests/support/record_kit.h"

namespace backfire::planning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> PlannedIds(const records::Standing& standing,
                                    const std::set<std::string>& proposed = {}) {
  std::vector<std::string> ids;
  const auto steps = PlanCompletion(standing, testing::SmallRevision()->graph, 2, proposed);
  for (const v1::Step& step : steps.value()) {
    ids.push_back(step.id() + (step.state() == v1::Step::WAITING ? "" : " done"));
  }
  return ids;
}

TEST(PlanCompletionTest, TrainsAndEvaluatesWhatIsMissingAndLoadsWhatIsThere) {
  EXPECT_THAT(PlannedIds(*testing::LackingState().live_standing),
              ElementsAre("train/b/1", "evaluate/b/1", "load/a/0", "load/b/0", "load/c/0"));
  EXPECT_THAT(PlannedIds(*testing::LiveState().live_standing),
              ElementsAre("load/a/0", "load/b/0", "load/c/0"));
}

TEST(PlanCompletionTest, ALookThatWasNotTakenIsMissing) {
  records::UpdateRecord early = testing::EndedUpdate(2, "a", v1::Update::PROMOTED);
  early.update.set_replicates(1);
  early.update.set_planned_looks(2);
  for (records::StepRecord& record : early.steps) {
    if (record.step.replicate() > 0) record.step.set_state(v1::Step::CANCELLED);
  }
  EXPECT_THAT(PlannedIds(*testing::LackingState(early).live_standing),
              ElementsAre("train/a/1", "train/b/1", "evaluate/a/1", "evaluate/b/1", "load/a/0",
                          "load/b/0", "load/c/0"));
}

TEST(PlanCompletionTest, AProposedVersionStandsForAllReplicates) {
  const records::State state = testing::LackingState();
  EXPECT_THAT(PlannedIds(*state.live_standing, {"b"}),
              ElementsAre("train/b/1 done", "evaluate/b/1", "load/a/0", "load/b/0", "load/c/0"));
  EXPECT_EQ(testing::SmallCompletion(state, 3, {"b"}).steps[0].step.version().name(),
            "models/mb/versions/200");
}

TEST(PlanCompletionTest, ReplicatesOfOtherVersionsDoNotCount) {
  // updates/3 completed them, and updates/4 gives `b` other versions, of which it has one.
  const records::State state = testing::LackingState();
  records::UpdateRecord completion = testing::SmallCompletion(state, 3);
  for (size_t i = 0; i < completion.steps.size(); ++i) testing::Succeed(completion, i);
  const auto complete = testing::Open(completion, state.live_standing)->MakeStanding();
  EXPECT_EQ(complete->Find("train/b/0")->ref.update, 2);
  EXPECT_EQ(complete->Find("train/b/1")->ref.update, 3);
  EXPECT_EQ(complete->Find("train/a/1")->ref.update, 1);
  const auto next = testing::Open(testing::EndedUpdate(4, "b", v1::Update::PROMOTED, 1), complete)
                        ->MakeStanding();
  EXPECT_TRUE(next->Has("train/b/0"));
  EXPECT_FALSE(next->Has("train/b/1"));
  EXPECT_THAT(PlannedIds(*next),
              ElementsAre("train/b/1", "evaluate/b/1", "load/a/0", "load/b/0", "load/c/0"));
}

TEST(CompletesReplicatesTest, ChangesNoVertex) {
  const records::State state = testing::LackingState();
  const v1::Update completion = testing::SmallCompletion(state, 3).update;
  EXPECT_TRUE(records::CompletesReplicates(completion));
  EXPECT_FALSE(records::CompletesReplicates(testing::SmallUpdate(1, "").update)) << "a baseline";
  EXPECT_FALSE(records::CompletesReplicates(testing::SmallUpdate(2, "a").update));
  EXPECT_THAT(TouchedVertices(testing::SmallRevision()->graph, completion), IsEmpty());
}

}  // namespace
}  // namespace backfire::planning
