#include "orchestrator/commands/propose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/records/update_state.h"
#include "orchestrator/store/memory_repository.h"
#include "tests/support/record_kit.h"

namespace backfire::commands {
namespace {

using ::testing::HasSubstr;

const absl::Time kProposed = absl::FromUnixSeconds(1000);

// The live release is updates/2's, which has one of the system's two replicates of `b`.
class MakeProposalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write(testing::EndedUpdate(1, "", v1::Update::PROMOTED), nullptr);
    UseLive(testing::EndedUpdate(2, "b", v1::Update::PROMOTED, 1));
  }
  void UseLive(const records::UpdateRecord& live) {
    state_ = testing::LackingState(live);
    const auto system = std::make_shared<records::SystemRevision>(*testing::SmallRevision());
    for (auto& [vertex, model] : system->models) model.add_recipes()->set_name("fit");
    records::Change change;
    change.system = system;
    state_ = records::Apply(state_, change);
    live_ = live;
  }
  absl::StatusOr<std::vector<UpdatePointer>> Make(int replicates) {
    if (live_.number != 0) Write(std::exchange(live_, {}), testing::LiveState().live_standing);
    v1::ProposeUpdateRequest request;
    request.set_request_id("next");
    request.set_vertex("c");
    request.mutable_recipe()->set_name("fit");
    request.set_replicates(replicates);
    return MakeProposal(state_, history_, request, {}, kProposed);
  }

  records::State state_;

 private:
  void Write(const records::UpdateRecord& record, std::shared_ptr<const records::Standing> base) {
    records::Change added, evaluated;
    added.added.push_back(testing::Open(record, std::move(base)));
    for (size_t i = 0; i < record.steps.size(); ++i) {
      const v1::Step& step = record.steps[i].step;
      if (!step.has_evaluation()) continue;
      records::ChangeStep({record.number, i}, record.steps[i], evaluated).evaluation =
          step.evaluation();
    }
    for (const records::Change& change : {added, evaluated}) {
      const absl::Status status = history_.Write(change);
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  store::MemoryRepository history_;
  records::UpdateRecord live_;  // Not written yet.
};

TEST_F(MakeProposalTest, HasAsManyReplicatesAsTheSystemAndBringsWhatIsMissingAlong) {
  const auto updates = Make(0);
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_EQ(updates->size(), 2u);
  const records::OpenUpdate& completion = *updates->at(0);
  EXPECT_TRUE(records::CompletesReplicates(completion.update()));
  EXPECT_EQ(completion.update().name(), "updates/3");
  EXPECT_EQ(completion.update().baseline_release(), "releases/2");
  EXPECT_EQ(completion.update().replicates(), 2);
  EXPECT_EQ(completion.step_count(), 5u);
  EXPECT_TRUE(completion.request_id().empty());
  const records::OpenUpdate& proposal = *updates->at(1);
  EXPECT_EQ(proposal.number(), 4);
  EXPECT_EQ(proposal.update().name(), "updates/4");
  EXPECT_EQ(proposal.update().planned_replicates(), 2);
  EXPECT_EQ(proposal.request_id(), "next");
  records::Change change;
  change.added = *updates;
  EXPECT_TRUE(records::Check(state_, change).ok()) << records::Check(state_, change);

  state_ = records::Apply(state_, change);
  EXPECT_EQ(state_.waits_for, (std::map<int64_t, int64_t>{{4, 3}}));
  const auto next = Make(0);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->size(), 1u) << "what is missing is on its way";
}

TEST_F(MakeProposalTest, FewReplicatesNeedNoOthers) {
  const auto updates = Make(1);
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_EQ(updates->size(), 1u);
  EXPECT_EQ(updates->at(0)->update().name(), "updates/3");
  for (const int replicates : {-1, 3}) {
    const absl::Status status = Make(replicates).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("in [1, 2], or 0 for as many as the system has"));
  }
}

TEST_F(MakeProposalTest, AProposedVersionIsNotTrainedAgain) {
  records::UpdateRecord live = testing::EndedUpdate(2, "b", v1::Update::PROMOTED, 1);
  live.update.set_version("models/mb/versions/200");
  UseLive(live);
  const auto updates = Make(2);
  ASSERT_TRUE(updates.ok()) << updates.status();
  ASSERT_EQ(updates->size(), 2u);
  const v1::Step& training =
      updates->at(0)->step(testing::PositionOf(*updates->at(0), "train/b/1")).step;
  EXPECT_EQ(training.state(), v1::Step::SUCCEEDED);
  EXPECT_EQ(training.version().name(), "models/mb/versions/200");
}

}  // namespace
}  // namespace backfire::commands
