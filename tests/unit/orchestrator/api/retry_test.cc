// Updates that failed and are retried: what is done again, and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/support/control_plane_fixture.h"

namespace backfire::api {
namespace {

using ::testing::HasSubstr;

class RetryTest : public testing::ControlPlaneFixture {
 protected:
  void SetUp() override { StartPlane(); }
  int64_t CountCalls(const std::string& call) const {
    const std::vector<std::string> calls = services_.calls();
    return std::count(calls.begin(), calls.end(), call);
  }
};

TEST_F(RetryTest, AFailedUpdateGoesOnFromWhereItFailed) {
  ApplyBaseline();
  services_.Fail("evaluate/b/1", absl::ResourceExhaustedError("the disk is full"));
  const std::string name = Propose("fails", "a");
  const v1::Update failed = AwaitState(name, v1::Update::FAILED);
  EXPECT_EQ(failed.error_message(), "step evaluate/b/1: the disk is full");
  EXPECT_TRUE(absl::IsFailedPrecondition(Promote(name).status()));
  services_.Fail("evaluate/b/1", absl::OkStatus());
  ASSERT_TRUE(Retry(name, "once").ok());
  AwaitState(name, v1::Update::DECIDED);
  EXPECT_TRUE(Retry(name, "once").ok()) << "the same call does not fail for the state now";
  EXPECT_TRUE(absl::IsFailedPrecondition(Retry(name, "twice").status()));
  EXPECT_EQ(CountCalls("memory00/updates/2/train/a/0/1"), 1);
  EXPECT_EQ(CountCalls("memory00/updates/2/evaluate/b/1/2"), 1) << "a failed job keeps its name";
}

TEST_F(RetryTest, ARetryCommitsAnewToWhatHasOtherLastBits) {
  services_.CommitOutputs();
  ApplyBaseline();
  services_.Hold("/evaluate/b/0/");
  const std::string name = Propose("first", "a");
  services_.AwaitHeld("/evaluate/b/0/");
  services_.ChangeOutputs("models/ma");  // As on another machine.
  services_.Release("/evaluate/b/0/");
  const v1::Update failed = AwaitState(name, v1::Update::FAILED);
  EXPECT_THAT(failed.error_message(), HasSubstr("other outputs of models/ma"));
  // What runs on is held to the outputs of before, and ends first.
  Await([&] {
    const v1::Update update = Get(name);
    return std::none_of(update.steps().begin(), update.steps().end(),
                        [](const v1::Step& step) { return step.state() == v1::Step::RUNNING; });
  });
  v1::Update decided = failed;
  while (decided.state() == v1::Update::FAILED) {
    ASSERT_TRUE(Retry(name).ok());
    Await([&] {
      decided = Get(name);
      return decided.state() == v1::Update::DECIDED || decided.state() == v1::Update::FAILED;
    });
    ASSERT_FALSE(HasFatalFailure());
  }
  for (const v1::Step& step : decided.steps()) {
    if (step.kind() != v1::Step::EVALUATE || step.vertex() != "b") continue;
    ASSERT_EQ(step.evaluation().commitments_size(), 1) << step.id();
    for (const v1::Step& commit : decided.steps()) {
      if (commit.id() != absl::StrCat("commit/a/", step.replicate(), "/test")) continue;
      EXPECT_EQ(step.evaluation().commitments(0).outputs_digest(),
                commit.commitment().outputs_digest());
    }
  }
}

TEST_F(RetryTest, ARetryBeginsAnewWhatStillRunsByTheCommitmentsOfBefore) {
  services_.CommitOutputs();
  ApplyBaseline();
  services_.Hold("/evaluate/b/");
  const std::string name = Propose("first", "a");
  services_.AwaitHeld("/evaluate/b/0/1");
  services_.AwaitHeld("/evaluate/b/1/1");
  services_.ChangeOutputs("models/ma");  // As on another machine.
  // One fails for it; the other still runs when the update is retried.
  services_.Hold("/evaluate/b/1/1");
  services_.Release("/evaluate/b/");
  AwaitState(name, v1::Update::FAILED);
  EXPECT_EQ(StateOf(Get(name), "evaluate/b/1"), v1::Step::RUNNING);
  // What it needs is held, as else it could run by the time that the call is answered.
  services_.Hold("/commit/a/1/test/");
  const auto retried = Retry(name);
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(StateOf(*retried, "evaluate/b/1"), v1::Step::WAITING);
  services_.Release("/commit/a/1/test/");
  services_.Release("/evaluate/b/1/1");
  const v1::Update decided = AwaitState(name, v1::Update::DECIDED);
  EXPECT_EQ(CountCalls("memory00/updates/2/evaluate/b/1/2"), 1);
  for (const v1::Step& step : decided.steps()) {
    if (step.kind() != v1::Step::EVALUATE || step.vertex() != "b") continue;
    ASSERT_EQ(step.evaluation().commitments_size(), 1) << step.id();
    for (const v1::Step& commit : decided.steps()) {
      if (commit.id() != absl::StrCat("commit/a/", step.replicate(), "/test")) continue;
      EXPECT_EQ(step.evaluation().commitments(0).outputs_digest(),
                commit.commitment().outputs_digest());
    }
  }
}

// A disk that was full: what ran when the update was retried fails by it as well.
TEST_F(RetryTest, AFailureOfTheAttemptBeforeDoesNotFailTheUpdateAgain) {
  ApplyBaseline();
  services_.Hold("/evaluate/b/");
  const std::string name = Propose("full", "a");
  services_.AwaitHeld("/evaluate/b/0/1");
  services_.AwaitHeld("/evaluate/b/1/1");
  services_.Hold("/evaluate/b/1/1");
  for (const char* job : {"/evaluate/b/0/1", "/evaluate/b/1/1"}) {
    services_.Fail(job, absl::ResourceExhaustedError("the disk is full"));
  }
  services_.Release("/evaluate/b/");
  AwaitState(name, v1::Update::FAILED);
  EXPECT_EQ(StateOf(Get(name), "evaluate/b/1"), v1::Step::RUNNING);
  ASSERT_TRUE(Retry(name).ok());
  services_.Release("/evaluate/b/1/1");
  AwaitState(name, v1::Update::DECIDED);
  EXPECT_EQ(CountCalls("memory00/updates/2/evaluate/b/1/1"), 1);
  EXPECT_EQ(CountCalls("memory00/updates/2/evaluate/b/1/2"), 1);
}

}  // namespace
}  // namespace backfire::api
