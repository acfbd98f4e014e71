#include "orchestrator/report/progress_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace backfire::report {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using v1::Step;
using v1::Update;

Update Training(int64_t step_number) {
  Update update;
  update.set_name("updates/1");
  update.set_baseline(true);
  update.set_state(Update::TRAINING_CANDIDATE);
  Step& step = *update.add_steps();
  step.set_id("train/car/0");
  step.set_kind(Step::TRAIN);
  step.set_vertex("car");
  step.set_state(Step::RUNNING);
  step.mutable_progress()->set_stage("training");
  step.mutable_progress()->set_step(step_number);
  step.mutable_progress()->set_total_steps(300);
  step.mutable_progress()->set_loss(0.5);
  step.mutable_progress()->set_eta_seconds(80);
  Step& waiting = *update.add_steps();
  waiting.set_id("evaluate/car/0");
  waiting.set_kind(Step::EVALUATE);
  waiting.set_vertex("car");
  waiting.set_state(Step::WAITING);
  return update;
}

TEST(ProgressLinesTest, HasTheUpdateAndEachRunningStep) {
  EXPECT_THAT(ProgressLines(Training(100)),
              ElementsAre("updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done",
                          "  train car #0  training 100/300  loss 0.5000  1 min 20 s left"));
}

// However many parameters its recipe has: how far it is fits in a terminal's line behind it.
TEST(ProgressLinesTest, NamesTheRecipeAndNoParameter) {
  Update update = Training(100);
  update.set_baseline(false);
  update.set_vertex("car");
  update.mutable_recipe()->set_name("frustum-pointnet");
  (*update.mutable_recipe()->mutable_parameters()->mutable_fields())["steps"].set_number_value(8);
  EXPECT_EQ(ProgressLines(update).front(),
            "updates/1 (car -> frustum-pointnet)  TRAINING_CANDIDATE  0/2 steps done");
}

TEST(ProgressLinesTest, SaysWhenAllWillBeDoneIfThatCanBeForetold) {
  Update update = Training(100);
  EXPECT_EQ(ProgressLines(update, 100).front(),
            "updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done, about 1 min 40 s left");
  // Nothing but steps that have no length.
  EXPECT_EQ(ProgressLines(update, 0).front(),
            "updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done");
  update.set_state(Update::PROMOTED);
  EXPECT_EQ(ProgressLines(update, 0).front(), "updates/1 (baseline)  PROMOTED  0/2 steps done");
}

TEST(StepLineTest, LeavesOutWhatIsUnknown) {
  Step step = Training(0).steps(0);
  step.mutable_progress()->Clear();
  step.mutable_progress()->set_loss(std::nan(""));
  EXPECT_EQ(StepLine(step), "train car #0");
}

TEST(StepLineTest, EveryKindOfStepHasWords) {
  for (int kind = 1; kind <= Step::Kind_MAX; ++kind) {
    Step step;
    step.set_kind(static_cast<Step::Kind>(kind));
    step.set_vertex("car");
    step.set_reference("bayes");
    step.set_state(Step::RUNNING);
    const std::string line = StepLine(step);
    EXPECT_EQ(line.find('_'), std::string::npos) << line;
    EXPECT_NE(line.find("car"), std::string::npos) << line;
  }
}

TEST(StepLineTest, AFinishedEvaluationShowsItsLosses) {
  Step step;
  step.set_kind(Step::EVALUATE_SWAPPED);
  step.set_vertex("car");
  step.set_replicate(2);
  step.set_state(Step::SUCCEEDED);
  step.set_compute_seconds(4);
  v1::LossEstimate& loss = *step.mutable_evaluation()->add_losses();
  loss.set_loss("ap_3d");
  loss.set_value(-55);
  EXPECT_EQ(StepLine(step), "evaluate swapped car #2  done in 4.0 s  ap_3d -55.00");
}

TEST(ProgressLogTest, TellsStatesAndEndsOnce) {
  ProgressLog log;
  EXPECT_THAT(log.Next(Training(1)),
              ElementsAre("updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done"));
  EXPECT_THAT(log.Next(Training(2)), IsEmpty());
  Update update = Training(3);
  update.mutable_steps(0)->set_state(Step::SUCCEEDED);
  EXPECT_THAT(log.Next(update), ElementsAre("  train car #0  done"));
  EXPECT_THAT(log.Next(update), IsEmpty());
}

TEST(PacedLogTest, TellsStatesAndFailuresAtOnceAndOneLineOfProgressAtItsPace) {
  PacedLog log(/*pace_seconds=*/10);
  EXPECT_THAT(log.Next(Training(1), 100),
              ElementsAre("updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done; train car #0  "
                          "training 1/300  loss 0.5000  1 min 20 s left"));
  EXPECT_THAT(log.Next(Training(2), 109), IsEmpty());
  EXPECT_THAT(log.Next(Training(3), 110),
              ElementsAre("updates/1 (baseline)  TRAINING_CANDIDATE  0/2 steps done; train car #0  "
                          "training 3/300  loss 0.5000  1 min 20 s left"));
  Update update = Training(3);
  for (int i = 0; i < 50; ++i) {
    Step& step = *update.add_steps();
    step = update.steps(0);
    step.set_id("train/car/" + std::to_string(i + 1));
  }
  for (Step& step : *update.mutable_steps()) step.set_state(Step::SUCCEEDED);
  EXPECT_THAT(log.Next(update, 111), IsEmpty()) << "however many have ended";
  update.mutable_steps(0)->set_state(Step::FAILED);
  update.mutable_steps(0)->set_error_message("disk full");
  EXPECT_THAT(log.Next(update, 112), ElementsAre("  train car #0  failed: disk full"));
  EXPECT_THAT(log.Next(update, 113), IsEmpty());
  update.set_state(Update::FAILED);
  EXPECT_THAT(log.Next(update, 114), ElementsAre("updates/1 (baseline)  FAILED  51/52 steps done"));
  EXPECT_THAT(log.Next(update, 1000), IsEmpty()) << "nothing goes on";
}

TEST(HasEndedTest, OpenUpdatesHaveNot) {
  Update update;
  for (const Update::State open :
       {Update::PROPOSED, Update::TRAINING_CANDIDATE, Update::EVALUATING_CANDIDATE,
        Update::RETRAINING, Update::EVALUATING}) {
    update.set_state(open);
    EXPECT_FALSE(HasEnded(update)) << Update::State_Name(open);
  }
  for (const Update::State end :
       {Update::DECIDED, Update::PROMOTED, Update::REJECTED, Update::FAILED, Update::CANCELLED}) {
    update.set_state(end);
    EXPECT_TRUE(HasEnded(update)) << Update::State_Name(end);
  }
}

}  // namespace
}  // namespace backfire::report
