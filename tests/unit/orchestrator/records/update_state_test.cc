#include "orchestrator/records/update_state.h"

#include <gtest/gtest.h>

#include <set>

namespace backfire::records {
namespace {

using v1::Step;
using v1::Update;

TEST(UpdateStateTest, EveryStateIsOpenOrHasEnded) {
  const std::set<Update::State> open = {Update::PROPOSED, Update::TRAINING_CANDIDATE,
                                        Update::EVALUATING_CANDIDATE, Update::RETRAINING,
                                        Update::EVALUATING};
  for (int state = 1; state <= Update::State_MAX; ++state) {
    Update update;
    update.set_state(static_cast<Update::State>(state));
    EXPECT_EQ(IsOpen(update), open.count(update.state()) > 0) << state;
    EXPECT_EQ(HasEnded(update), !IsOpen(update)) << state;
  }
  EXPECT_FALSE(HasEnded(Update())) << "what is not there has not ended";
}

struct PhaseCase {
  const char* vertex;
  Step::Kind kind;
  Update::State phase;
};

TEST(UpdateStateTest, PhasesAreThoseOfTheStateMachine) {
  Update update;
  update.set_vertex("a");
  for (const PhaseCase& row : {PhaseCase{"a", Step::TRAIN, Update::TRAINING_CANDIDATE},
                               PhaseCase{"a", Step::EVALUATE, Update::EVALUATING_CANDIDATE},
                               PhaseCase{"b", Step::TRAIN, Update::RETRAINING},
                               PhaseCase{"b", Step::EVALUATE, Update::EVALUATING},
                               PhaseCase{"b", Step::EVALUATE_SWAPPED, Update::EVALUATING},
                               PhaseCase{"b", Step::TRAIN_REFERENCE, Update::EVALUATING},
                               PhaseCase{"a", Step::LOAD, Update::EVALUATING}}) {
    Step step;
    step.set_vertex(row.vertex);
    step.set_kind(row.kind);
    EXPECT_EQ(PhaseOf(update, step), row.phase) << row.vertex << " " << Step::Kind_Name(row.kind);
  }
}

TEST(UpdateStateTest, AStepIsDueOnceItsReplicateIs) {
  Update update;
  update.set_replicates(5);
  Step step;
  step.set_replicate(4);
  EXPECT_TRUE(IsDue(update, step));
  step.set_replicate(5);
  EXPECT_FALSE(IsDue(update, step));
}

}  // namespace
}  // namespace backfire::records
