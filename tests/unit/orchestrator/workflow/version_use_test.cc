#include "orchestrator/workflow/version_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace backfire::workflow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kVersion[] = "models/m/versions/3";

store::UpdateRecord UpdateWith(v1::Update::State state, const std::string& trained,
                               int64_t revision = 2) {
  store::UpdateRecord update;
  update.update.set_name("updates/7");
  update.update.set_state(state);
  update.update.set_system_revision(revision);
  store::StepRecord& record = update.steps.emplace_back();
  record.step.set_kind(v1::Step::TRAIN);
  record.step.set_vertex("m");
  record.step.mutable_version()->set_name(trained);
  return update;
}

// A system of revision 2 with one vertex.
store::Contents Contents() {
  store::Contents contents;
  contents.systems[2].revision = 2;
  contents.systems[2].system.add_vertices()->set_name("m");
  return contents;
}

v1::Release ReleaseWith(v1::Release::State state, int64_t epoch) {
  v1::Release release;
  release.set_name("releases/4");
  release.set_state(state);
  release.set_epoch(epoch);
  (*release.mutable_versions())["m"] = kVersion;
  return release;
}

TEST(NeedsOfTest, ReleasesThatServeOrMayServeAgain) {
  store::Contents contents = Contents();
  EXPECT_THAT(NeedsOf(contents, kVersion), IsEmpty());
  contents.releases[4] = ReleaseWith(v1::Release::LIVE, 1);
  EXPECT_THAT(NeedsOf(contents, kVersion), ElementsAre("releases/4 (LIVE)"));
  EXPECT_THAT(NeedsOf(contents, "models/m/versions/33"), IsEmpty());
  contents.releases[4] = ReleaseWith(v1::Release::STAGED, 0);
  EXPECT_THAT(NeedsOf(contents, kVersion), ElementsAre("releases/4 (STAGED)"));
  contents.releases[4] = ReleaseWith(v1::Release::RETIRED, 1);
  EXPECT_THAT(NeedsOf(contents, kVersion), ElementsAre("releases/4 (RETIRED)")) << "rollback";
  contents.releases[4] = ReleaseWith(v1::Release::RETIRED, 0);
  EXPECT_THAT(NeedsOf(contents, kVersion), IsEmpty()) << "never live, never to be";
}

TEST(NeedsOfTest, UpdatesThatMayAskForItAgain) {
  for (const auto state :
       {v1::Update::RETRAINING, v1::Update::DECIDED, v1::Update::PROMOTED, v1::Update::FAILED}) {
    store::Contents contents = Contents();
    contents.updates[7] = UpdateWith(state, kVersion);
    EXPECT_THAT(NeedsOf(contents, kVersion),
                ElementsAre("updates/7 (" + v1::Update::State_Name(state) + ")"));
  }
  for (const auto state : {v1::Update::CANCELLED, v1::Update::REJECTED}) {
    store::Contents contents = Contents();
    contents.updates[7] = UpdateWith(state, kVersion);
    EXPECT_THAT(NeedsOf(contents, kVersion), IsEmpty());
  }
  store::Contents contents = Contents();
  contents.updates[7] = UpdateWith(v1::Update::PROMOTED, kVersion, 1);
  EXPECT_THAT(NeedsOf(contents, kVersion), IsEmpty()) << "of a system that was replaced";
  contents.updates[7] = UpdateWith(v1::Update::PROMOTED, kVersion);
  contents.updates[7].update.set_baseline(true);
  EXPECT_THAT(NeedsOf(contents, kVersion), ElementsAre("updates/7 (the baseline)"));
}

TEST(NeedsOfTest, RecipesThatStartFromIt) {
  store::Contents contents = Contents();
  contents.updates[7] = UpdateWith(v1::Update::DECIDED, "models/m/versions/5");
  (*contents.updates[7]
        .update.mutable_recipe()
        ->mutable_parameters()
        ->mutable_fields())["initialize_from"]
      .set_string_value(kVersion);
  EXPECT_THAT(NeedsOf(contents, kVersion), ElementsAre("the recipe of updates/7"));
  (*contents.systems[2]
        .system.mutable_vertices(0)
        ->mutable_recipe()
        ->mutable_parameters()
        ->mutable_fields())["initialize_from"]
      .set_string_value(kVersion);
  EXPECT_THAT(NeedsOf(contents, kVersion),
              ElementsAre("the recipe of updates/7", "the recipe of vertex m"));
}

TEST(TakeProposedVersionTest, StandsForEveryReplicateOfItsVertexAlone) {
  store::UpdateRecord update;
  for (const char* vertex : {"m", "m", "child"}) {
    store::StepRecord& record = update.steps.emplace_back();
    record.step.set_kind(v1::Step::TRAIN);
    record.step.set_state(v1::Step::WAITING);
    record.step.set_vertex(vertex);
  }
  update.steps.emplace_back().step.set_kind(v1::Step::EVALUATE);
  update.steps.back().step.set_vertex("m");
  update.steps.back().step.set_state(v1::Step::WAITING);
  v1::Version version;
  version.set_name(kVersion);
  TakeProposedVersion("m", version, update);
  for (const size_t i : {0, 1}) {
    EXPECT_EQ(update.steps[i].step.state(), v1::Step::SUCCEEDED);
    EXPECT_EQ(update.steps[i].step.version().name(), kVersion);
  }
  EXPECT_EQ(update.steps[2].step.state(), v1::Step::WAITING);
  EXPECT_EQ(update.steps[3].step.state(), v1::Step::WAITING);
}

}  // namespace
}  // namespace backfire::workflow
