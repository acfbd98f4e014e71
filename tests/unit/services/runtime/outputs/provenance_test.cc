// What a child makes of what a caller says and of what a parent gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A parent with a version, a liar that has trained the same version but gives what another does,
// and a child of either.
class ProvenanceTest : public ::testing::Test {
 protected:
  ProvenanceTest() : version_(parent_.TrainedVersion()), at_parent_(parent_.Serve()) {}

  v1::OutputsCommitment Commit(const std::string& split) {
    v1::CommitOutputsRequest request;
    request.set_version(version_.name());
    request.mutable_dataset()->set_uri("toy:8");
    request.set_split(split);
    request.set_digest(version_.digest());
    v1::Job result;
    const absl::Status status = parent_->committer().Commit(request, job_, result);
    EXPECT_TRUE(status.ok()) << status;
    return result.commitment();
  }
  v1::TrainRequest Training(const std::string& endpoint) {
    v1::TrainRequest request = child_.TrainRequest();
    *request.add_lineage() = FedBy(version_, "y");
    (*request.mutable_endpoints()->mutable_by_model())["models/p"] = endpoint;
    return request;
  }
  v1::EvaluateRequest Evaluation(const v1::Version& version, const std::string& endpoint) {
    v1::EvaluateRequest request;
    request.set_version(version.name());
    request.mutable_dataset()->set_uri("toy:8");
    request.set_split("test");
    (*request.mutable_endpoints()->mutable_by_model())["models/p"] = endpoint;
    return request;
  }
  absl::StatusOr<v1::Evaluation> Evaluate(const v1::EvaluateRequest& request) {
    v1::Job result;
    const absl::Status status = child_->evaluator().Evaluate(request, job_, result);
    if (!status.ok()) return status;
    return result.evaluation();
  }

  UnwatchedJob job_;
  HostedToy parent_{"p", "x"};
  const v1::Version version_;
  const std::string at_parent_;
  LyingParent liar_{version_, /*y=*/0.25};
  HostedToy child_{"c", "y"};
};

TEST_F(ProvenanceTest, WhatIsPulledIsHeldToTheCommitment) {
  v1::TrainRequest request = Training(liar_.target());
  *request.add_commitments() = Commit("train");
  const auto lied_to = child_.Train(request);
  EXPECT_TRUE(absl::IsDataLoss(lied_to.status())) << lied_to.status();
  EXPECT_THAT(std::string(lied_to.status().message()),
              AllOf(HasSubstr(version_.name()), HasSubstr("split train"), HasSubstr("retry")));
  EXPECT_TRUE(child_->versions().List().empty());

  (*request.mutable_endpoints()->mutable_by_model())["models/p"] = at_parent_;
  const auto trained = child_.Train(request);
  ASSERT_TRUE(trained.ok()) << trained.status();
  ASSERT_EQ(trained->version().trained_on_size(), 1);
  EXPECT_EQ(trained->version().trained_on(0).outputs_digest(),
            request.commitments(0).outputs_digest());
}

TEST_F(ProvenanceTest, APoisonedTrainingIsNotFoundAgain) {
  // As anybody can call it: the caller names itself as the parent's endpoint.
  const auto poisoned = child_.Train(Training(liar_.target()));
  ASSERT_TRUE(poisoned.ok()) << poisoned.status();
  v1::TrainRequest request = Training(at_parent_);
  *request.add_commitments() = Commit("train");
  const auto trained = child_.Train(request);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_NE(trained->version().name(), poisoned->version().name());
  EXPECT_NE(trained->version().digest(), poisoned->version().digest());
  // One that is true to its word is found.
  const auto again = child_.Train(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->version().name(), trained->version().name());
}

TEST_F(ProvenanceTest, APoisonedCopyIsNotEvaluatedOn) {
  v1::TrainRequest training = Training(at_parent_);
  *training.add_commitments() = Commit("train");
  const auto trained = child_.Train(training);
  ASSERT_TRUE(trained.ok()) << trained.status();
  // Has the child keep the liar's outputs, and its own on them.
  const auto poisoned = Evaluate(Evaluation(trained->version(), liar_.target()));
  ASSERT_TRUE(poisoned.ok()) << poisoned.status();
  v1::EvaluateRequest request = Evaluation(trained->version(), at_parent_);
  *request.add_commitments() = Commit("test");
  request.set_digest(trained->version().digest());
  const auto evaluated = Evaluate(request);
  ASSERT_TRUE(evaluated.ok()) << evaluated.status();
  EXPECT_LT(evaluated->losses(0).value(), poisoned->losses(0).value() / 10);
  ASSERT_EQ(evaluated->commitments_size(), 1);
  EXPECT_EQ(evaluated->commitments(0).outputs_digest(), request.commitments(0).outputs_digest());
  // Nor does it commit to what it made of the liar's.
  v1::CommitOutputsRequest commit;
  commit.set_version(trained->version().name());
  commit.mutable_dataset()->set_uri("toy:8");
  commit.set_split("test");
  *commit.mutable_endpoints() = request.endpoints();
  v1::Job on_poison, result;
  ASSERT_TRUE(child_->committer().Commit(commit, job_, on_poison).ok());
  *commit.mutable_commitments() = request.commitments();
  ASSERT_TRUE(child_->committer().Commit(commit, job_, result).ok());
  EXPECT_NE(result.commitment().outputs_digest(), on_poison.commitment().outputs_digest());
}

TEST_F(ProvenanceTest, ASplitThatNobodyCommittedToIsPulledAnewAndEntersTheKey) {
  // The training's split is not committed to, although the version's test split is.
  const v1::OutputsCommitment test = Commit("test");
  v1::TrainRequest request = Training(liar_.target());
  *request.add_commitments() = test;
  const auto poisoned = child_.Train(request);
  ASSERT_TRUE(poisoned.ok()) << poisoned.status();
  request = Training(at_parent_);
  *request.add_commitments() = test;
  const auto trained = child_.Train(request);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_NE(trained->version().input_key(), poisoned->version().input_key());
  ASSERT_EQ(trained->version().trained_on_size(), 1);
  EXPECT_EQ(trained->version().trained_on(0).outputs_digest(), Commit("train").outputs_digest());
  const auto again = child_.Train(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->version().name(), trained->version().name());
  // An evaluation on such a split is refused: a caller that has commitments has to have this one.
  v1::EvaluateRequest evaluation = Evaluation(trained->version(), at_parent_);
  *evaluation.add_commitments() = Commit("train");
  EXPECT_TRUE(absl::IsFailedPrecondition(Evaluate(evaluation).status()));
}

TEST_F(ProvenanceTest, WithoutCommitmentsKeysAreAsTheyWere) {
  const auto trained = child_.Train(Training(at_parent_));
  ASSERT_TRUE(trained.ok()) << trained.status();
  v1::Version version = trained->version();
  EXPECT_EQ(version.trained_on_size(), 0);
  const std::string key = ComputeInputKey("models/c", version);
  EXPECT_EQ(version.input_key(), key);
  *version.add_trained_on() = Commit("train");
  EXPECT_NE(ComputeInputKey("models/c", version), key);
}

TEST_F(ProvenanceTest, AnotherDatasetIsSaidBeforeAnythingIsPulled) {
  v1::TrainRequest request = Training(at_parent_);
  *request.add_commitments() = Commit("train");
  request.mutable_dataset()->set_uri("toy:9");
  const auto trained = child_.Train(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(trained.status())) << trained.status();
}

TEST_F(ProvenanceTest, AVersionOfAnotherDigestIsRefused) {
  v1::EvaluateRequest evaluation;
  evaluation.set_version(version_.name());
  evaluation.set_split("test");
  evaluation.mutable_dataset()->set_uri("toy:8");
  evaluation.set_digest(std::string(64, '0'));
  EXPECT_TRUE(absl::IsDataLoss(parent_->evaluator().Check(evaluation)));
  v1::CommitOutputsRequest commit;
  commit.set_version(version_.name());
  commit.set_split("test");
  commit.mutable_dataset()->set_uri("toy:8");
  commit.set_digest(std::string(64, '0'));
  EXPECT_TRUE(absl::IsDataLoss(parent_->committer().Check(commit)));
  commit.set_digest(version_.digest());
  EXPECT_TRUE(parent_->committer().Check(commit).ok());
  commit.set_split("exam");
  EXPECT_TRUE(absl::IsInvalidArgument(parent_->committer().Check(commit)));
  EXPECT_TRUE(absl::IsDataLoss(parent_->served().Load(1, std::string(64, '0'))));
  EXPECT_TRUE(parent_->served().LoadedNumbers().empty());
  EXPECT_TRUE(parent_->served().Load(1, version_.digest()).ok());
  EXPECT_EQ(parent_->served().Find(1)->digest, version_.digest());
}

}  // namespace
}  // namespace backfire::runtime
