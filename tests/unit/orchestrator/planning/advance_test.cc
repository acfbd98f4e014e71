#include "orchestrator/planning/advance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::planning {
namespace {

using records::State;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1000);
using MaybeJudgement = std::optional<absl::StatusOr<Judgement>>;

// Runs the steps of one update to their ends, one after another.
class AdvanceTest : public ::testing::Test {
 protected:
  void Begin(records::UpdateRecord record) {
    number_ = record.number;
    const State live = testing::LiveState();
    if (!record.update.baseline()) {
      state_ = testing::WithUpdate(live, std::move(record));
      return;
    }
    state_.identity = "store";
    records::Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(std::move(record)));
    state_ = records::Apply(state_, change);
  }
  const records::OpenUpdate& update() const { return *state_.FindUpdate(number_); }
  size_t PositionOf(const std::string& id) const { return testing::PositionOf(update(), id); }

  JobEnd JobOf(const std::string& id) const {
    records::UpdateRecord record = testing::SmallUpdate(number_, "");
    record.steps = {update().step(PositionOf(id))};
    testing::Succeed(record, 0);
    v1::Job job;
    job.set_state(v1::Job::SUCCEEDED);
    job.set_compute_seconds(3);
    const v1::Step& step = record.steps[0].step;
    if (step.has_version()) *job.mutable_version() = step.version();
    if (step.has_evaluation()) *job.mutable_evaluation() = step.evaluation();
    return {job, false};
  }
  absl::StatusOr<records::Change> End(const std::string& id, const JobEnd& end,
                                      const MaybeJudgement& judgement = std::nullopt) {
    records::Change start;
    const size_t position = PositionOf(id);
    records::ChangeStep({number_, position}, update().step(position), start)
        .record.step.set_state(v1::Step::RUNNING);
    state_ = records::Apply(state_, start);
    needed_ = NeedsJudgement(update(), position, end);
    auto change = StepEnded(state_, {number_, position}, end, judgement, Decided(), kNow);
    if (change.ok()) {
      EXPECT_TRUE(records::Check(state_, *change).ok()) << records::Check(state_, *change);
      state_ = records::Apply(state_, *change);
    }
    return change;
  }
  // Ends every due step but for those whose id begins like this.
  void EndAllBut(const std::string& prefix) {
    while (true) {
      std::string next;
      for (const size_t position : update().Ready(100)) {
        const std::string& id = update().step(position).step.id();
        if (next.empty() && id.rfind(prefix, 0) != 0) next = id;
      }
      if (next.empty()) return;
      ASSERT_TRUE(End(next, JobOf(next)).ok()) << next;
    }
  }
  static Judgement Saying(v1::Verdict::Outcome outcome) {
    Judgement judgement;
    judgement.verdict.set_outcome(outcome);
    judgement.test_split = "data";
    return judgement;
  }

  ReadDecided Decided() const {
    return [this](const State&, int64_t) { return decided_; };
  }
  // Begins what completes the replicates of releases/2.
  void BeginCompletion(const std::set<std::string>& proposed = {}) {
    number_ = 3;
    state_ = testing::LackingState();
    state_ = testing::WithUpdate(state_, testing::SmallCompletion(state_, number_, proposed));
  }

  State state_;
  std::vector<std::shared_ptr<const records::OpenUpdate>> decided_;
  int64_t number_ = 0;
  bool needed_ = false;
};

TEST_F(AdvanceTest, AnEndCountsOnlyForTheAttemptThatItIsOf) {
  Begin(testing::SmallUpdate(2, "b"));
  EndAllBut("evaluate/b/1");
  const size_t position = PositionOf("evaluate/b/1");
  const JobEnd end = JobOf("evaluate/b/1");
  const auto change_step = [&](v1::Step::State state, int64_t attempt) {
    records::Change change;
    records::StepRecord& record =
        records::ChangeStep({number_, position}, update().step(position), change).record;
    record.step.set_state(state);
    record.attempt = attempt;
    state_ = records::Apply(state_, change);
  };
  const auto end_it = [&](const JobEnd& job) {
    const auto change = StepEnded(state_, {number_, position}, job, std::nullopt, Decided(), kNow);
    EXPECT_TRUE(change.ok()) << change.status();
    return *change;
  };
  for (const int attempt : {1, 2}) {
    change_step(v1::Step::WAITING, attempt);
    EXPECT_FALSE(NeedsJudgement(update(), position, end));
    EXPECT_TRUE(end_it(end).empty()) << "it is to be done anew";
  }
  // It ran when the update was retried.
  change_step(v1::Step::RUNNING, 2);
  JobEnd failed = end;
  failed.job->set_state(v1::Job::FAILED);
  failed.job->set_error_code(8);
  const records::Change again = end_it(failed);
  EXPECT_TRUE(again.updates.empty());
  const records::StepRecord& waiting = again.steps.begin()->second.record;
  EXPECT_EQ(waiting.step.state(), v1::Step::WAITING);
  EXPECT_EQ(waiting.attempt, 2);
  EXPECT_EQ(end_it(end).steps.begin()->second.record.step.state(), v1::Step::SUCCEEDED);
  failed.attempt = 2;
  const records::Change fails = end_it(failed);
  EXPECT_EQ(fails.steps.begin()->second.record.step.state(), v1::Step::FAILED);
  EXPECT_EQ(fails.updates.at(number_).update.state(), v1::Update::FAILED);
}

TEST_F(AdvanceTest, AnUpdateIsPreparedThenDecided) {
  Begin(testing::SmallUpdate(2, "b"));
  EndAllBut("evaluate/b/1");
  EXPECT_EQ(update().update().state(), v1::Update::EVALUATING_CANDIDATE);
  const auto evaluated = End("evaluate/b/1", JobOf("evaluate/b/1"));
  ASSERT_TRUE(evaluated.ok());
  // The release has its own versions, and else those of what is live.
  ASSERT_EQ(evaluated->releases.size(), 1u);
  const v1::Release& release = evaluated->releases.at(2).record.release;
  EXPECT_EQ(release.state(), v1::Release::PREPARING);
  EXPECT_EQ(release.versions().at("a"), "models/ma/versions/100");
  EXPECT_EQ(release.versions().at("b"), "models/mb/versions/200");
  EXPECT_EQ(release.digests().at("a"), "digest-a100");
  EXPECT_EQ(release.digests().at("b"), "digest-b200");
  EXPECT_EQ(update().update().release(), "releases/2");
  EXPECT_EQ(evaluated->steps.begin()->second.evaluation->losses_size(), 1);

  const auto asked = End("load/b/0", JobOf("load/b/0"));
  EXPECT_TRUE(absl::IsAborted(asked.status())) << "it is to be judged";
  EXPECT_TRUE(needed_);
  const auto decided = End("load/b/0", JobOf("load/b/0"), Saying(v1::Verdict::SAFE));
  ASSERT_TRUE(decided.ok()) << decided.status();
  const records::UpdateChange& changed = decided->updates.at(2);
  EXPECT_EQ(changed.update.state(), v1::Update::DECIDED);
  EXPECT_EQ(changed.update.verdict().outcome(), v1::Verdict::SAFE);
  EXPECT_EQ(*changed.test_split, "data");
  EXPECT_EQ(changed.update.end_time().seconds(), 1000);
  EXPECT_EQ(decided->releases.at(2).record.release.state(), v1::Release::STAGED);
  EXPECT_EQ(state_.FindUpdate(2), nullptr) << "it is history";
}

TEST_F(AdvanceTest, ABaselineIsLiveOnceItIsLoaded) {
  Begin(testing::SmallUpdate(1, ""));
  EndAllBut("load/c/0");
  const auto live = End("load/c/0", JobOf("load/c/0"));
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_FALSE(needed_);
  EXPECT_EQ(live->updates.at(1).update.state(), v1::Update::PROMOTED);
  EXPECT_EQ(state_.live, 1);
  EXPECT_EQ(state_.epoch, 1);
  const v1::Release& release = state_.FindRelease(1)->release;
  EXPECT_EQ(release.history(0).kind(), v1::ReleaseEvent::PROMOTED);
  EXPECT_EQ(release.history(0).reason(), "baseline");
  EXPECT_EQ(state_.live_standing->Find("train/b/1")->step->version().name(),
            "models/mb/versions/101");
}

TEST_F(AdvanceTest, AnotherLookIsTakenWhereTheEvidenceDoesNotSay) {
  records::UpdateRecord record = testing::SmallUpdate(2, "b");
  record.update.set_replicates(1);
  record.update.set_planned_looks(2);
  Begin(record);
  EndAllBut("evaluate/b/0");
  const auto looked = End("evaluate/b/0", JobOf("evaluate/b/0"), Saying(v1::Verdict::INCONCLUSIVE));
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_TRUE(needed_);
  EXPECT_EQ(update().update().look(), 2);
  EXPECT_EQ(update().update().replicates(), 2);
  EXPECT_EQ(update().update().earlier_looks_size(), 1);
  EXPECT_EQ(update().update().state(), v1::Update::TRAINING_CANDIDATE);
  EXPECT_TRUE(update().update().release().empty());
  EXPECT_TRUE(update().IsReady(PositionOf("train/b/1")));
}

TEST_F(AdvanceTest, ALookThatSaysItAllIsTheLast) {
  records::UpdateRecord record = testing::SmallUpdate(2, "b");
  record.update.set_replicates(1);
  record.update.set_planned_looks(2);
  Begin(record);
  EndAllBut("evaluate/b/0");
  ASSERT_TRUE(End("evaluate/b/0", JobOf("evaluate/b/0"), Saying(v1::Verdict::SAFE)).ok());
  EXPECT_EQ(update().update().release(), "releases/2");
  const auto decided = End("load/b/0", JobOf("load/b/0"), Saying(v1::Verdict::SAFE));
  ASSERT_TRUE(decided.ok()) << decided.status();
  EXPECT_EQ(decided->updates.at(2).update.state(), v1::Update::DECIDED);
  int cancelled = 0;
  for (const auto& [ref, step] : decided->steps) {
    if (step.record.step.state() == v1::Step::CANCELLED) ++cancelled;
  }
  EXPECT_EQ(cancelled, 2) << "training and evaluation of the second replicate";
}

TEST_F(AdvanceTest, ReplicatesAreCompleteInAReleaseOfTheSameVersions) {
  BeginCompletion();
  records::UpdateRecord beside = testing::EndedUpdate(4, "c", v1::Update::DECIDED, 1);
  beside.update.set_baseline_release("releases/2");
  decided_ = {testing::Open(beside, state_.live_standing)};
  EndAllBut("load/c/0");
  EXPECT_EQ(update().update().state(), v1::Update::EVALUATING);
  const auto live = End("load/c/0", JobOf("load/c/0"));
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_FALSE(needed_) << "there is no verdict";
  EXPECT_EQ(live->updates.at(3).update.state(), v1::Update::PROMOTED);
  EXPECT_EQ(live->updates.at(3).update.end_time().seconds(), 1000);
  EXPECT_FALSE(live->updates.at(3).update.has_verdict());
  EXPECT_EQ(state_.live, 3);
  const v1::Release& release = state_.FindRelease(3)->release;
  EXPECT_EQ(release.reason(), "all replicates of releases/2");
  EXPECT_EQ(release.versions().at("a"), "models/ma/versions/100");
  EXPECT_EQ(release.versions().at("b"), "models/mb/versions/200");
  EXPECT_EQ(state_.FindRelease(2)->release.state(), v1::Release::DRAINING);
  EXPECT_EQ(state_.live_standing->update().replicates(), 2);
  EXPECT_EQ(state_.live_standing->Find("train/b/1")->ref.update, 3);
  // What was decided was compared with the same versions.
  EXPECT_EQ(live->updates.at(4).update.state(), v1::Update::DECIDED);
  EXPECT_EQ(live->updates.at(4).update.baseline_release(), "releases/3");
}

TEST_F(AdvanceTest, ReplicatesOfWhatIsLiveNoMoreComeToNothing) {
  BeginCompletion();
  EndAllBut("load/c/0");
  ASSERT_EQ(update().update().release(), "releases/3");
  records::Change change;
  records::ChangeRelease(2, *state_.FindRelease(2), change)
      .record.release.set_state(v1::Release::DRAINING);
  change.releases[5].record = testing::SmallRelease(5, v1::Release::LIVE, 3);
  change.live_standing = state_.live_standing;
  state_ = records::Apply(state_, change);
  const auto ended = End("load/c/0", JobOf("load/c/0"));
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->updates.at(3).update.state(), v1::Update::CANCELLED);
  EXPECT_EQ(ended->updates.at(3).update.error_message(), "releases/2 is live no more");
  EXPECT_EQ(state_.FindRelease(3)->release.state(), v1::Release::DRAINING);
  EXPECT_EQ(state_.live, 5);
}

TEST_F(AdvanceTest, AProposedVersionMayHaveLearntFromOtherData) {
  BeginCompletion({"b"});
  records::Change change;
  const size_t position = PositionOf("train/b/1");
  records::ChangeStep({3, position}, update().step(position), change)
      .record.step.mutable_version()
      ->mutable_dataset()
      ->set_digest("elsewhere");
  state_ = records::Apply(state_, change);
  EndAllBut("load/");
  EXPECT_EQ(update().update().release(), "releases/3") << update().update().error_message();
}

struct FailureCase {
  absl::StatusOr<v1::Job> job;
  int64_t attempt;
  std::string message;
};

TEST_F(AdvanceTest, WhatFailedForGoodGetsAnotherNameAndWhatWasAwayKeepsIts) {
  v1::Job failed;
  failed.set_state(v1::Job::FAILED);
  v1::Job other_data;
  other_data.set_state(v1::Job::SUCCEEDED);
  other_data.mutable_evaluation()->set_dataset_digest("other");
  for (const FailureCase& row :
       {FailureCase{failed, 2, "step evaluate/b/0: the service gave no reason"},
        FailureCase{absl::UnavailableError("away"), 1, "step evaluate/b/0: away"},
        FailureCase{other_data, 2, "services read different datasets: digest other here, data"}}) {
    state_ = State();
    Begin(testing::SmallUpdate(2, "b"));
    ASSERT_TRUE(End("train/b/0", JobOf("train/b/0")).ok());
    const auto change = End("evaluate/b/0", {row.job, false});
    ASSERT_TRUE(change.ok()) << change.status();
    EXPECT_EQ(change->updates.at(2).update.state(), v1::Update::FAILED);
    EXPECT_THAT(change->updates.at(2).update.error_message(), HasSubstr(row.message));
    EXPECT_EQ(change->steps.begin()->second.record.attempt, row.attempt);
    EXPECT_EQ(change->steps.begin()->second.record.step.state(), v1::Step::FAILED);
    EXPECT_FALSE(change->steps.begin()->second.evaluation.has_value());
  }
}

TEST_F(AdvanceTest, AStepOfACancelledUpdateEndsByItself) {
  Begin(testing::SmallUpdate(2, "b"));
  const size_t position = PositionOf("train/b/0");
  records::Change change;
  records::ChangeStep({2, position}, update().step(position), change)
      .record.step.set_state(v1::Step::RUNNING);
  records::ChangeUpdate(2, update().update(), change).update.set_state(v1::Update::CANCELLED);
  state_ = records::Apply(state_, change);
  v1::Job job;
  job.set_state(v1::Job::CANCELLED);
  job.set_error_code(1);
  const auto ended = StepEnded(state_, {2, position}, {job, true}, std::nullopt, Decided(), kNow);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_TRUE(ended->updates.empty());
  EXPECT_EQ(ended->steps.begin()->second.record.step.state(), v1::Step::CANCELLED);
  EXPECT_EQ(records::Apply(state_, *ended).FindUpdate(2), nullptr);
}

TEST_F(AdvanceTest, WhereThereIsNoJudgementTheUpdateSaysWhy) {
  Begin(testing::SmallUpdate(2, "b"));
  EndAllBut("load/");
  const auto failed =
      End("load/b/0", JobOf("load/b/0"), MaybeJudgement(absl::DataLossError("a row is damaged")));
  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(failed->updates.at(2).update.state(), v1::Update::FAILED);
  EXPECT_EQ(failed->updates.at(2).update.error_message(), "step load/b/0: a row is damaged");
  EXPECT_EQ(failed->steps.begin()->second.record.step.state(), v1::Step::SUCCEEDED);
}

TEST_F(AdvanceTest, ANameThatTheBaseHasForAnotherVersionIsRefused) {
  Begin(testing::SmallUpdate(2, "b"));
  JobEnd end = JobOf("train/b/0");
  // As a service counts that has lost its disk.
  end.job->mutable_version()->set_name("models/mb/versions/100");
  const records::StepRef ref{2, PositionOf("train/b/0")};
  const auto refused = End("train/b/0", end);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->updates.at(2).update.state(), v1::Update::FAILED);
  const v1::Step& step = refused->steps.at(ref).record.step;
  EXPECT_EQ(step.error_code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_THAT(step.error_message(), HasSubstr("releases/1"));
  EXPECT_THAT(step.error_message(), HasSubstr("restore it from a backup"));
}

}  // namespace
}  // namespace backfire::planning
