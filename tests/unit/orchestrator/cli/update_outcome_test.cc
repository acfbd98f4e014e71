#include "orchestrator/cli/update_outcome.h"

#include <gtest/gtest.h>

namespace backfire::cli {
namespace {

v1::Update Decided(v1::Verdict::Outcome outcome, bool harmed = false) {
  v1::Update update;
  update.set_state(v1::Update::DECIDED);
  update.mutable_verdict()->set_outcome(outcome);
  update.mutable_verdict()->set_harmed(harmed);
  return update;
}

TEST(ExitCodeOfTest, AnAnswerIsNoErrorWithoutTheGate) {
  for (const auto outcome : {v1::Verdict::SELF_DEFEATING, v1::Verdict::SAFE,
                             v1::Verdict::NOT_AN_IMPROVEMENT, v1::Verdict::INCONCLUSIVE}) {
    EXPECT_EQ(ExitCodeOf(Decided(outcome), /*gate=*/false), ExitCode::kOk);
  }
}

TEST(ExitCodeOfTest, TheGateRefusesWhatIsWorseBeyondItsMargin) {
  EXPECT_EQ(ExitCodeOf(Decided(v1::Verdict::SAFE), true), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(Decided(v1::Verdict::SELF_DEFEATING, true), true), ExitCode::kRefused);
  v1::Update candidate = Decided(v1::Verdict::NOT_AN_IMPROVEMENT);
  candidate.mutable_verdict()->set_candidate(v1::LossComparison::WORSE);
  EXPECT_EQ(ExitCodeOf(candidate, true), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(Decided(v1::Verdict::INCONCLUSIVE, true), true), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(Decided(v1::Verdict::INCONCLUSIVE), true), ExitCode::kUndecided);
}

TEST(ExitCodeOfTest, AFirstLookIsNoReasonToRefuse) {
  v1::Update update = Decided(v1::Verdict::INCONCLUSIVE, /*harmed=*/true);
  update.mutable_verdict()->set_candidate(v1::LossComparison::WORSE);
  update.mutable_verdict()->set_first_look(true);
  EXPECT_EQ(ExitCodeOf(update, true), ExitCode::kUndecided);
}

TEST(ExitCodeOfTest, AVerdictThatIsVoidDoesNotPassTheGate) {
  v1::Update update = Decided(v1::Verdict::SAFE);
  update.set_state(v1::Update::REJECTED);
  EXPECT_EQ(ExitCodeOf(update, true), ExitCode::kUndecided);
  EXPECT_EQ(ExitCodeOf(update, false), ExitCode::kOk);
}

TEST(ExitCodeOfTest, WhatCameToNothingSaysSo) {
  v1::Update update;
  update.set_state(v1::Update::FAILED);
  EXPECT_EQ(ExitCodeOf(update, false), ExitCode::kFailed);
  update.set_state(v1::Update::CANCELLED);
  EXPECT_EQ(ExitCodeOf(update, false), ExitCode::kUndecided);
}

TEST(ExitCodeOfTest, StatusesMapToWhatTheUserCanDo) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), ExitCode::kBadInput);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("")), ExitCode::kWrongState);
  EXPECT_EQ(ExitCodeOf(absl::CancelledError("")), ExitCode::kInterrupted);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), ExitCode::kFailed);
}

TEST(UpdateFieldTest, PrintsOneFieldForScripts) {
  v1::Update update = Decided(v1::Verdict::SAFE);
  update.set_name("updates/2");
  update.set_release("releases/2");
  EXPECT_EQ(*UpdateField(update, "name"), "updates/2");
  EXPECT_EQ(*UpdateField(update, "state"), "DECIDED");
  EXPECT_EQ(*UpdateField(update, "release"), "releases/2");
  EXPECT_EQ(*UpdateField(update, "baseline_release"), "");
  EXPECT_EQ(*UpdateField(update, "verdict"), "SAFE");
  EXPECT_TRUE(absl::IsInvalidArgument(UpdateField(update, "steps").status()));
}

}  // namespace
}  // namespace backfire::cli
