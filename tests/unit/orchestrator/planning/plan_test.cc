#include "orchestrator/planning/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "orchestrator/planning/commit_steps.h"

namespace backfire::planning {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// x -> a -> t -> b, x -> c.
graph::SystemGraph Graph() {
  v1::System system;
  system.set_name("s");
  system.set_dataset("toy:1");
  system.add_request()->set_name("x");
  const auto add = [&](const char* name, const char* source) {
    v1::Vertex* vertex = system.add_vertices();
    vertex->set_name(name);
    vertex->set_endpoint("unix:/x");
    vertex->mutable_recipe()->set_name("fit");
    (*vertex->mutable_inputs())["in"] = source;
  };
  add("a", "request.x");
  add("t", "a.y");
  add("b", "t.y");
  add("c", "request.x");
  (*system.mutable_outputs())["y"] = "b.y";
  return *graph::SystemGraph::Build(system);
}

std::vector<std::string> Ids(const std::vector<v1::Step>& steps) {
  std::vector<std::string> ids;
  for (const v1::Step& step : steps) ids.push_back(step.id());
  return ids;
}

TEST(PlanTest, ABaselineTrainsEverything) {
  const auto steps = PlanBaseline(Graph(), 2);
  EXPECT_EQ(steps.size(), 4u * 2 * 2 + 4);
  EXPECT_THAT(Ids(steps), Contains("train/b/1"));
  EXPECT_THAT(Ids(steps), Contains("load/c/0"));
  EXPECT_THAT(Ids(steps), Not(Contains("load/c/1")));
}

TEST(PlanTest, AnUpdateTouchesTheCandidateAndItsDescendantsOnly) {
  const auto steps = PlanUpdate(Graph(), "a", {"t"}, 1);
  EXPECT_THAT(Ids(steps), ElementsAre("train/a/0", "evaluate/a/0", "train/t/0", "train/b/0",
                                      "evaluate/t/0", "evaluate-swapped/b/0", "evaluate/b/0",
                                      "load/a/0", "load/t/0", "load/b/0"));
}

TEST(PlanTest, DependenciesFollowTheGraphWithinOneReplicate) {
  const graph::SystemGraph graph = Graph();
  const auto steps = PlanUpdate(graph, "a", {"t"}, 2);
  const auto dependencies = Dependencies(graph, steps);
  ASSERT_EQ(dependencies.size(), steps.size());
  const auto needs = [&](const std::string& id) {
    std::vector<std::string> ids;
    for (size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].id() != id) continue;
      for (const size_t needed : dependencies[i]) ids.push_back(steps[needed].id());
    }
    return ids;
  };
  EXPECT_THAT(needs("train/a/1"), IsEmpty());
  EXPECT_THAT(needs("evaluate/a/1"), ElementsAre("train/a/1"));
  EXPECT_THAT(needs("train/b/1"), ElementsAre("train/t/1"));
  EXPECT_THAT(needs("evaluate-swapped/b/0"), ElementsAre("train/t/0"));
  // Every evaluation, of which there are two of a, two of t, and four of b.
  EXPECT_EQ(needs("load/a/0").size(), 8u);
  EXPECT_THAT(needs("load/b/0"), ElementsAre("load/a/0"));
}

TEST(PlanTest, UpdatesTouchTheirVertexAndWhatNeedsIt) {
  const graph::SystemGraph graph = Graph();
  v1::Update update;
  update.set_vertex("t");
  EXPECT_THAT(TouchedVertices(graph, update), ElementsAre("b", "t"));
  update.set_vertex("c");
  EXPECT_THAT(TouchedVertices(graph, update), ElementsAre("c"));
  update.set_baseline(true);
  EXPECT_THAT(TouchedVertices(graph, update), ElementsAre("a", "b", "c", "t"));
}

TEST(LooksTest, ShareTheReplicatesAndTheLastHasAll) {
  EXPECT_EQ(ReplicatesOfLook(15, 3, 1), 5);
  EXPECT_EQ(ReplicatesOfLook(15, 3, 2), 10);
  EXPECT_EQ(ReplicatesOfLook(15, 3, 3), 15);
  EXPECT_EQ(ReplicatesOfLook(11, 2, 1), 6);  // Rounded up.
  EXPECT_EQ(ReplicatesOfLook(11, 2, 2), 11);
  EXPECT_EQ(ReplicatesOfLook(1, 1, 1), 1);
}

// What each step needs, by ids.
std::vector<std::string> Needs(const graph::SystemGraph& graph, const std::vector<v1::Step>& steps,
                               const std::string& id) {
  const auto dependencies = Dependencies(graph, steps);
  std::vector<std::string> ids;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].id() != id) continue;
    for (const size_t needed : dependencies[i]) ids.push_back(steps[needed].id());
  }
  return ids;
}

TEST(CommitPlanTest, ParentsCommitBeforeAnythingIsMadeOfTheirOutputs) {
  const graph::SystemGraph graph = Graph();
  const auto steps = PlanBaseline(graph, 1, {"a", "t", "b", "c"});
  EXPECT_THAT(Ids(steps), Contains("commit/a/0/train"));
  EXPECT_THAT(Ids(steps), Contains("commit/t/0/test"));
  // Nobody is fed by these, and nothing is solved on a population.
  EXPECT_THAT(Ids(steps), Not(Contains(::testing::StartsWith("commit/b/"))));
  EXPECT_THAT(Ids(steps), Not(Contains(::testing::StartsWith("commit/c/"))));
  EXPECT_THAT(Ids(steps), Not(Contains("commit/a/0/population")));
  EXPECT_THAT(Needs(graph, steps, "commit/a/0/train"), ElementsAre("train/a/0"));
  EXPECT_THAT(Needs(graph, steps, "train/t/0"), ElementsAre("commit/a/0/train", "train/a/0"));
  EXPECT_THAT(Needs(graph, steps, "commit/t/0/test"), ElementsAre("commit/a/0/test", "train/t/0"));
  EXPECT_THAT(Needs(graph, steps, "evaluate/b/0"), ElementsAre("commit/t/0/test", "train/b/0"));
}

TEST(CommitPlanTest, AnUpdateHasTheParentsThatItDoesNotChangeCommitAnew) {
  const graph::SystemGraph graph = Graph();
  const auto steps = PlanUpdate(graph, "t", {}, 2, /*servable=*/true, {"a", "t", "b", "c"});
  EXPECT_EQ(steps[0].id(), "commit/a/0/train");
  EXPECT_THAT(Ids(steps), Contains("commit/t/1/test"));
  EXPECT_THAT(Needs(graph, steps, "train/t/1"), ElementsAre("commit/a/1/train"));
  EXPECT_THAT(Needs(graph, steps, "evaluate-swapped/b/0"),
              ElementsAre("commit/t/0/test", "train/t/0"));
}

TEST(CommitPlanTest, WhatAnOlderProgramLeftUncommittedIsCommittedTo) {
  const graph::SystemGraph graph = Graph();
  const std::set<std::string> all = {"a", "t", "b", "c"};
  auto standing = std::make_shared<records::Standing>(1, std::make_shared<const v1::Update>());
  EXPECT_THAT(AncestorsFedUncommitted(graph, *standing, {"b"}, all), ElementsAre("b", "t"));
  const auto set = [&](const std::string& id) {
    v1::Step step;
    step.set_id(id);
    step.set_kind(v1::Step::COMMIT);
    standing->Set({1, 0}, step);
  };
  set("commit/t/0/test");
  EXPECT_THAT(AncestorsFedUncommitted(graph, *standing, {"b"}, all), ElementsAre("t"));
  EXPECT_THAT(AncestorsFedUncommitted(graph, *standing, {"b"}, {"t"}), IsEmpty());
  const auto steps = PlanUpdate(graph, "b", {}, 1, /*servable=*/true, all, {"t"});
  EXPECT_THAT(Ids(steps), Contains("commit/a/0/test"));
  EXPECT_THAT(Needs(graph, steps, "commit/t/0/test"), ElementsAre("commit/a/0/test"));
  set("commit/a/0/test");
  EXPECT_THAT(AncestorsFedUncommitted(graph, *standing, {"b"}, all), IsEmpty());
}

TEST(CommitPlanTest, ServicesThatCannotAreLeftOut) {
  const auto steps = PlanUpdate(Graph(), "a", {"t"}, 1, /*servable=*/true, {"t"});
  EXPECT_THAT(Ids(steps), Not(Contains(::testing::StartsWith("commit/a/"))));
  EXPECT_THAT(Ids(steps), Contains("commit/t/0/train"));
  EXPECT_EQ(Ids(PlanUpdate(Graph(), "a", {"t"}, 1)),
            Ids(PlanUpdate(Graph(), "a", {"t"}, 1, true, {"b", "c"})));
}

}  // namespace
}  // namespace backfire::planning
