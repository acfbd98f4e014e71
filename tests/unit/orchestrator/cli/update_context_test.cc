#include "orchestrator/cli/update_context.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "orchestrator/cli/proposal.h"

namespace backfire::cli {
namespace {

using ::testing::ElementsAre;

TEST(ParseProposalTest, TellsARecipeFromAVersion) {
  const auto recipe = ParseProposal("car=frustum-pointnet");
  ASSERT_TRUE(recipe.ok());
  EXPECT_EQ(recipe->vertex, "car");
  EXPECT_EQ(recipe->recipe, "frustum-pointnet");
  EXPECT_EQ(recipe->version, "");
  for (const std::string version : {"7", "car/7", "models/car/versions/7"}) {
    const auto proposal = ParseProposal("car=" + version);
    ASSERT_TRUE(proposal.ok());
    EXPECT_EQ(proposal->version, version);
    EXPECT_EQ(proposal->recipe, "");
  }
  for (const std::string text : {"car", "=sgbm", "car=", ""}) {
    EXPECT_EQ(ParseProposal(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

v1::GetSystemResponse System(int64_t revision) {
  v1::GetSystemResponse system;
  system.set_revision(revision);
  v1::Vertex& first = *system.mutable_system()->add_vertices();
  first.set_name("first");
  (*first.mutable_inputs())["x"] = "request.x";
  v1::Vertex& second = *system.mutable_system()->add_vertices();
  second.set_name("second");
  (*second.mutable_inputs())["y"] = "first.y";
  (*second.mutable_inputs())["z"] = "first.z";
  return system;
}

v1::Step& AddStep(v1::Step::Kind kind, const std::string& vertex, v1::Update& update) {
  v1::Step& step = *update.add_steps();
  step.set_kind(kind);
  step.set_vertex(vertex);
  step.set_compute_seconds(2);
  return step;
}

TEST(ContextOfTest, SaysWhatWasTrainedAndWhatItCost) {
  v1::Update update;
  update.set_name("updates/3");
  update.set_vertex("first");
  update.mutable_recipe()->set_name("least-squares");
  update.set_system_revision(4);
  v1::Step& step = AddStep(v1::Step::TRAIN, "second", update);
  step.mutable_version()->set_name("models/second/versions/5");
  step.mutable_version()->set_digest("abc");
  step.mutable_version()->set_seed(9);
  AddStep(v1::Step::EVALUATE, "second", update);
  const v1::UpdateContext context = ContextOf(update, System(4));
  EXPECT_EQ(context.name(), "updates/3");
  EXPECT_EQ(context.change(), "least-squares");
  ASSERT_EQ(context.vertices_size(), 2);
  EXPECT_THAT(context.vertices(1).parents(), ElementsAre("first"));
  EXPECT_THAT(context.vertices(1).versions(), ElementsAre("models/second/versions/5"));
  EXPECT_THAT(context.vertices(1).seeds(), ElementsAre(9));
  EXPECT_EQ(context.vertices(1).compute_seconds(), 4);
  EXPECT_EQ(context.compute_seconds(), 4);
  // Another system's graph is not this update's.
  EXPECT_TRUE(ContextOf(update, System(5)).vertices(0).parents().empty());
}

TEST(TrainingCurvesTest, KeepWhatRunningTrainingsReport) {
  TrainingCurves curves;
  v1::Update update;
  v1::Step& step = AddStep(v1::Step::TRAIN, "first", update);
  step.set_state(v1::Step::RUNNING);
  const auto report = [&](int64_t number, double loss) {
    step.mutable_progress()->set_step(number);
    step.mutable_progress()->set_loss(loss);
    curves.Take(update);
  };
  report(0, 5);  // Has not begun.
  report(10, 4);
  report(10, 4);
  report(20, std::nan(""));
  report(30, 3);
  v1::UpdateContext context;
  curves.AddTo(context);
  ASSERT_EQ(context.curves_size(), 1);
  EXPECT_THAT(context.curves(0).steps(), ElementsAre(10, 30));
  EXPECT_THAT(context.curves(0).losses(), ElementsAre(4, 3));
  // A later stage begins again; a long one is thinned and stays in order.
  for (int i = 1; i <= 1000; ++i) report(i, 1.0 / i);
  context.clear_curves();
  curves.AddTo(context);
  const auto& steps = context.curves(0).steps();
  EXPECT_EQ(steps.Get(0), 1);
  EXPECT_EQ(steps.Get(steps.size() - 1), 1000);
  EXPECT_LE(steps.size(), 241);
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
}

}  // namespace
}  // namespace backfire::cli
