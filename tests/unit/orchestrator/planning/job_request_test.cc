#include "orchestrator/planning/job_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/planning/seeds.h"
#include "tests/support/record_kit.h"

namespace backfire::planning {
namespace {

class JobRequestTest : public ::testing::Test {
 protected:
  // The request of a step of an update of `a`, whose trainings are done.
  JobRequest Build(const std::string& id) {
    records::UpdateRecord record = testing::SmallUpdate(2, "a");
    (*record.update.mutable_recipe()->mutable_parameters()->mutable_fields())["offset"]
        .set_number_value(0.5);
    for (size_t i = 0; i < record.steps.size(); ++i) {
      if (record.steps[i].step.kind() == v1::Step::TRAIN) testing::Succeed(record, i);
    }
    const auto update = testing::Open(record, testing::LiveState().live_standing);
    auto request = BuildJobRequest("store", *testing::SmallRevision(), *update,
                                   testing::PositionOf(*update, id));
    EXPECT_TRUE(request.ok()) << request.status();
    return *std::move(request);
  }
};

TEST_F(JobRequestTest, ATrainingIsFedByItsReplicate) {
  const auto train = std::get<v1::TrainRequest>(Build("train/b/1"));
  EXPECT_EQ(train.request_id(), "store/updates/2/train/b/1/1");
  EXPECT_EQ(train.model(), "models/mb");
  ASSERT_EQ(train.lineage_size(), 1);
  EXPECT_EQ(train.lineage(0).version(), "models/ma/versions/201");
  EXPECT_EQ(train.lineage(0).input(), "x");
  EXPECT_EQ(train.seed(), TrainingSeed(records::SeedRule::kHashed, 0, "models/mb", 1));
  EXPECT_EQ(train.endpoints().by_model().at("models/ma"), "host-a:1");
  EXPECT_EQ(train.endpoints().by_model_size(), 1) << "of ancestors alone";
}

TEST_F(JobRequestTest, TheCandidateHasTheProposedRecipeAndOthersTheirOwn) {
  EXPECT_TRUE(std::get<v1::TrainRequest>(Build("train/a/0")).recipe().has_parameters());
  EXPECT_EQ(std::get<v1::TrainRequest>(Build("train/b/0")).recipe().name(), "fit");
  EXPECT_FALSE(std::get<v1::TrainRequest>(Build("train/b/0")).recipe().has_parameters());
}

TEST_F(JobRequestTest, WhatIsCompletedIsTrainedAsItsFirstReplicateWas) {
  records::UpdateRecord promoted = testing::EndedUpdate(2, "b", v1::Update::PROMOTED, 1);
  (*promoted.steps[0]
        .step.mutable_version()
        ->mutable_recipe()
        ->mutable_parameters()
        ->mutable_fields())["offset"]
      .set_number_value(0.5);
  const records::State state = testing::LackingState(promoted);
  const auto update = testing::Open(testing::SmallCompletion(state, 3), state.live_standing);
  const auto request = BuildJobRequest("store", *testing::SmallRevision(), *update,
                                       testing::PositionOf(*update, "train/b/1"));
  ASSERT_TRUE(request.ok()) << request.status();
  const auto& train = std::get<v1::TrainRequest>(*request);
  EXPECT_EQ(train.recipe().parameters().fields().at("offset").number_value(), 0.5);
  EXPECT_EQ(train.seed(), TrainingSeed(records::SeedRule::kHashed, 0, "models/mb", 1));
  EXPECT_EQ(train.lineage(0).version(), "models/ma/versions/101");
}

TEST_F(JobRequestTest, SwappedIsTheOldVersionOnTheNewParents) {
  const auto evaluate = std::get<v1::EvaluateRequest>(Build("evaluate/b/0"));
  EXPECT_EQ(evaluate.version(), "models/mb/versions/200");
  EXPECT_EQ(evaluate.split(), "test");
  EXPECT_EQ(evaluate.bootstrap().resample_count(), 20);
  EXPECT_EQ(evaluate.swapped_parents_size(), 0);
  const auto swapped = std::get<v1::EvaluateRequest>(Build("evaluate-swapped/b/0"));
  EXPECT_EQ(swapped.version(), "models/mb/versions/100");
  ASSERT_EQ(swapped.swapped_parents_size(), 1);
  EXPECT_EQ(swapped.swapped_parents(0).version(), "models/ma/versions/200");
}

TEST(CommittedJobRequestTest, JobsAreHeldToTheCommitmentsOfTheirAncestors) {
  const auto small = testing::SmallRevision();
  records::SystemRecord record;
  record.revision = 1;
  record.system = small->system();
  record.models = small->models;
  for (auto& [vertex, model] : record.models) model.add_capabilities(v1::COMMIT_OUTPUTS);
  const auto system = *records::MakeSystemRevision(record);
  records::UpdateRecord committed = testing::SmallUpdate(2, "a");
  committed.steps.clear();
  for (const v1::Step& step :
       PlanUpdate(system->graph, "a", {}, 2, /*servable=*/true, {"a", "b", "c"})) {
    committed.steps.emplace_back().step = step;
  }
  for (size_t i = 0; i < committed.steps.size(); ++i) {
    v1::Step& step = committed.steps[i].step;
    if (step.kind() == v1::Step::TRAIN) testing::Succeed(committed, i);
    if (step.kind() != v1::Step::COMMIT || step.split() == "population") continue;
    step.set_state(v1::Step::SUCCEEDED);
    step.mutable_commitment()->set_version(step.id());
    step.mutable_commitment()->set_split(step.split());
  }
  const auto update = testing::Open(committed, testing::LiveState().live_standing);
  const auto build = [&](const std::string& id) {
    return BuildJobRequest("store", *system, *update, testing::PositionOf(*update, id)).value();
  };
  const auto train = std::get<v1::TrainRequest>(build("train/b/1"));
  ASSERT_EQ(train.commitments_size(), 1);
  EXPECT_EQ(train.commitments(0).version(), "commit/a/1/train");
  const auto evaluate = std::get<v1::EvaluateRequest>(build("evaluate-swapped/b/0"));
  ASSERT_EQ(evaluate.commitments_size(), 1);
  EXPECT_EQ(evaluate.commitments(0).version(), "commit/a/0/test");
  EXPECT_EQ(evaluate.digest(), "digest-b100") << "the old version";
  const auto commit = std::get<v1::CommitOutputsRequest>(build("commit/a/1/test"));
  EXPECT_EQ(commit.request_id(), "store/updates/2/commit/a/1/test/1");
  EXPECT_EQ(commit.version(), "models/ma/versions/201");
  EXPECT_EQ(commit.digest(), "digest-a201");
  EXPECT_EQ(commit.split(), "test");
  EXPECT_EQ(commit.commitments_size(), 0) << "nobody feeds it";
}

}  // namespace
}  // namespace backfire::planning
