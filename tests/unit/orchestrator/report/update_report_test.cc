#include "orchestrator/report/update_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::report {
namespace {

using ::testing::HasSubstr;
using v1::Step;
using v1::Update;

Step& AddEvaluation(Update& update, const std::string& vertex, int replicate, double value) {
  Step& step = *update.add_steps();
  step.set_kind(Step::EVALUATE);
  step.set_state(Step::SUCCEEDED);
  step.set_vertex(vertex);
  step.set_replicate(replicate);
  step.mutable_version()->set_name("models/" + vertex + "/versions/1");
  step.mutable_evaluation()->set_example_count(120);
  v1::LossEstimate& loss = *step.mutable_evaluation()->add_losses();
  loss.set_loss("mae");
  loss.set_value(value);
  loss.set_judged(true);
  v1::LossEstimate& slice = *step.mutable_evaluation()->add_losses();
  slice.set_loss("mae");
  slice.set_slice("depth_0_20_m");
  slice.set_value(99);
  return step;
}

TEST(EvaluationTableTest, ShowsWholeLossesAndLeavesOutSlices) {
  Update update;
  update.set_baseline(true);
  AddEvaluation(update, "disparity", 0, 1.5);
  EXPECT_EQ(EvaluationTable(update),
            "  vertex     version                      loss  value  examples\n"
            "  disparity  models/disparity/versions/1  mae   1.500       120\n");
}

TEST(EvaluationTableTest, ReplicatesBecomeMeanAndSpread) {
  Update update;
  AddEvaluation(update, "disparity", 0, 1);
  AddEvaluation(update, "disparity", 1, 2);
  AddEvaluation(update, "disparity", 2, 3);
  EXPECT_THAT(EvaluationTable(update), HasSubstr("2.000 +- 1.000"));
}

TEST(UpdateTextTest, ABaselineShowsItsLossesAndRelease) {
  Update update;
  update.set_name("updates/1");
  update.set_baseline(true);
  update.set_state(Update::PROMOTED);
  update.set_release("releases/1");
  AddEvaluation(update, "disparity", 0, 1.5);
  const std::string text = UpdateText(update);
  EXPECT_THAT(text, HasSubstr("updates/1: baseline, PROMOTED\nMade releases/1.\n"));
  EXPECT_THAT(text, HasSubstr("models/disparity/versions/1  mae   1.500"));
}

TEST(UpdateTextTest, AFailureSaysWhy) {
  Update update;
  update.set_name("updates/2");
  update.set_vertex("disparity");
  update.mutable_recipe()->set_name("other");
  update.set_state(Update::FAILED);
  update.set_error_message("train/car/0: out of disk");
  EXPECT_EQ(UpdateText(update),
            "updates/2: disparity -> other, FAILED\nFailed: train/car/0: out of disk\n"
            "`backfire update retry updates/2` goes on with it from the step that failed\n");
}

TEST(UpdateTextTest, TellsWhoProposedAndEndedItWhenAndWhy) {
  Update update;
  update.set_name("updates/2");
  update.set_vertex("disparity");
  update.mutable_recipe()->set_name("other");
  update.set_state(Update::REJECTED);
  update.mutable_create_time()->set_seconds(1'600'000'000);
  update.set_actor("ada@laptop");
  update.set_reason("nightly");
  update.mutable_decide_time()->set_seconds(1'600'003'600);
  update.mutable_end_time()->set_seconds(1'600'007'200);
  update.set_end_actor("bob@ops");
  update.set_end_reason("updates/3 was promoted");
  EXPECT_EQ(UpdateText(update),
            "updates/2: disparity -> other, REJECTED\n"
            "Proposed 2020-09-13 12:26:40Z by ada@laptop: nightly\n"
            "Decided 2020-09-13 13:26:40Z\n"
            "Rejected 2020-09-13 14:26:40Z by bob@ops: updates/3 was promoted\n");
  v1::ListUpdatesResponse updates;
  *updates.add_updates() = update;
  EXPECT_EQ(UpdateListText(updates),
            "update     what                state     proposed              by          decided    "
            "           ended                 ended by  why\n"
            "updates/2  disparity -> other  REJECTED  2020-09-13 12:26:40Z  ada@laptop  2020-09-13 "
            "13:26:40Z  2020-09-13 14:26:40Z  bob@ops   updates/3 was promoted\n");
}

TEST(UpdateTitleTest, ShowsParametersThatWereSet) {
  Update update;
  update.set_vertex("disparity");
  update.mutable_recipe()->set_name("psmnet");
  auto& fields = *update.mutable_recipe()->mutable_parameters()->mutable_fields();
  fields["steps"].set_number_value(10);
  fields["mode"].set_string_value("fast");
  fields["flip"].set_bool_value(true);
  EXPECT_EQ(UpdateTitle(update), "disparity -> psmnet (flip=true, mode=fast, steps=10)");
}

TEST(UpdateListTextTest, HasALinePerUpdate) {
  v1::ListUpdatesResponse updates;
  EXPECT_EQ(UpdateListText(updates), "no updates\n");
  Update& update = *updates.add_updates();
  update.set_name("updates/2");
  update.set_vertex("disparity");
  update.mutable_recipe()->set_name("other");
  update.set_state(Update::DECIDED);
  update.mutable_verdict()->set_outcome(v1::Verdict::SAFE);
  update.set_release("releases/2");
  EXPECT_EQ(UpdateListText(updates),
            "update     what                state    verdict  release\n"
            "updates/2  disparity -> other  DECIDED  SAFE     releases/2\n");
}

TEST(UpdateReportTest, ADatasetOfSeveralLinesStaysBelowItsHeading) {
  v1::System system;
  system.set_name("figure2");
  system.set_dataset("planar:\n  seed: 1\n");
  system.set_replicates(5);
  EXPECT_THAT(SystemText(system), ::testing::StartsWith("system figure2\n"
                                                        "  dataset     planar:\n"
                                                        "                seed: 1\n"
                                                        "  replicates  5\n"));
}

}  // namespace
}  // namespace backfire::report
