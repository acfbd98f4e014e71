#include "orchestrator/evidence/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/evidence/forecast.h"
#include "orchestrator/evidence/judgement.h"
#include "tests/support/record_kit.h"

namespace backfire::evidence {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// An update of `a`, of which `b` is a child, against the baseline; both with two replicates.
class EvidenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    state_ = testing::LiveState();
    record_ = testing::EndedUpdate(2, "a", v1::Update::EVALUATING);
    for (records::StepRecord& step : record_.steps) {
      if (step.step.kind() == v1::Step::LOAD) step.step.set_state(v1::Step::WAITING);
    }
  }
  // An evaluation as its service gave it: the loss is the update's number, resamples lie around it.
  absl::StatusOr<v1::Evaluation> Read(records::StepRef ref) {
    ++reads_;
    v1::Evaluation evaluation;
    evaluation.set_dataset_digest(ref.update == 2 ? after_data_ : "data");
    evaluation.set_example_count(50);
    for (const char* slice : {"", "near"}) {
      v1::LossEstimate& loss = *evaluation.add_losses();
      loss.set_loss("mae");
      loss.set_slice(slice);
      loss.set_judged(true);
      loss.set_value(static_cast<double>(ref.update));
      loss.set_example_count(slice[0] == '\0' ? 0 : 7);
      for (const double noise : {-0.1, 0.1}) loss.add_resampled(loss.value() + noise);
    }
    return evaluation;
  }
  absl::StatusOr<verdict::Evidence> Build() {
    update_ = testing::Open(record_, state_.live_standing);
    const Comparison comparison{*system_, update_->update(), *state_.live_standing, read_};
    return BuildEvidence(comparison, *update_, /*judged_before=*/3);
  }

  records::State state_;
  records::UpdateRecord record_;
  std::string after_data_ = "data";
  int reads_ = 0;
  std::shared_ptr<const records::SystemRevision> system_ = testing::SmallRevision();
  std::shared_ptr<const records::OpenUpdate> update_;
  const ReadEvaluation read_ = [this](records::StepRef ref) { return Read(ref); };
};

TEST_F(EvidenceTest, HasTheLossesOfTheCandidateAndItsDescendantsBeforeAndAfter) {
  const auto evidence = Build();
  ASSERT_TRUE(evidence.ok()) << evidence.status();
  EXPECT_EQ(evidence->alpha, 0.05);
  EXPECT_EQ(evidence->candidates_judged, 4) << "this one included";
  EXPECT_THAT(evidence->look_replicates, ElementsAre(2));
  ASSERT_EQ(evidence->losses.size(), 2u);
  const verdict::LossEvidence& a = evidence->losses[0];
  const verdict::LossEvidence& b = evidence->losses[1];
  EXPECT_EQ(a.vertex, "a");
  EXPECT_TRUE(a.candidate);
  EXPECT_FALSE(b.candidate);
  ASSERT_EQ(a.before.size(), 2u);
  EXPECT_EQ(a.before[1].value, 1);
  EXPECT_EQ(a.after[1].value, 2);
  EXPECT_THAT(a.after[0].resampled, ElementsAre(1.9, 2.1));
  EXPECT_THAT(a.swapped, ElementsAre());
  EXPECT_THAT(b.swapped, ElementsAre(2, 2)) << "without retraining";
  EXPECT_FALSE(b.other_build);
  EXPECT_EQ(reads_, 8) << "two vertices, two replicates, before and after: each once";
}

TEST_F(EvidenceTest, AnotherBuildIsNotedUnlessTheVersionWasProposed) {
  for (records::StepRecord& step : record_.steps) {
    step.step.mutable_version()->set_build_fingerprint("another");
  }
  EXPECT_TRUE(Build()->losses[0].other_build);
  record_.update.set_version("models/ma/versions/200");
  EXPECT_FALSE(Build()->losses[0].other_build) << "it may come from anywhere";
  EXPECT_TRUE(Build()->losses[1].other_build);
}

TEST_F(EvidenceTest, RequiredSlicesAreJudgedToo) {
  v1::System system = testing::SmallSystem();
  system.mutable_vertices(1)->add_required_slices("near");
  records::SystemRecord record{1, system, system_->models, 1};
  system_ = *records::MakeSystemRevision(record);
  const auto evidence = Build();
  ASSERT_TRUE(evidence.ok()) << evidence.status();
  ASSERT_EQ(evidence->losses.size(), 3u);
  EXPECT_EQ(evidence->losses[2].slice, "near");
  EXPECT_EQ(evidence->losses[2].vertex, "b");
  record.system.mutable_vertices(1)->add_required_slices("far");
  system_ = *records::MakeSystemRevision(record);
  const absl::Status missing = Build().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("vertex b: none of its judged losses has"));
}

TEST_F(EvidenceTest, LossesOnOtherDataCantBeCompared) {
  after_data_ = "other";
  const absl::Status status = Build().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("was evaluated on dataset data before and on other after"));
}

TEST_F(EvidenceTest, AJudgementSaysOnWhatItWasMade) {
  const auto update = testing::Open(record_, state_.live_standing);
  std::string asked;
  const auto judgement = Judge(*system_, *update, read_,
                               [&](const std::string& test_split) -> absl::StatusOr<int64_t> {
                                 asked = test_split;
                                 return 1;
                               });
  ASSERT_TRUE(judgement.ok()) << judgement.status();
  EXPECT_EQ(asked, "data");
  EXPECT_EQ(judgement->test_split, "data");
  EXPECT_EQ(judgement->verdict.candidates_judged(), 2);
  EXPECT_TRUE(judgement->verdict.first_look()) << "two replicates decide nothing";
}

TEST_F(EvidenceTest, WhatIsForetoldStandsOnTheBaseAlone) {
  records::UpdateRecord baseline = testing::EndedUpdate(1, "", v1::Update::PROMOTED);
  for (records::StepRecord& step : baseline.steps) {
    if (step.step.id() == "train/a/0") step.step.set_compute_seconds(5);
  }
  state_.live_standing = testing::Open(baseline)->MakeStanding();
  const Comparison comparison{*system_, record_.update, *state_.live_standing, read_};
  const auto sensitivities = BuildSensitivities(comparison);
  ASSERT_TRUE(sensitivities.ok()) << sensitivities.status();
  ASSERT_EQ(sensitivities->size(), 2u);
  EXPECT_EQ(sensitivities->at(0).vertex(), "a");
  EXPECT_EQ(sensitivities->at(0).before(), 1);
  const auto reuse = BuildReuse(comparison);
  ASSERT_TRUE(reuse.ok()) << reuse.status();
  EXPECT_EQ(reuse->versions(), 4);
  EXPECT_EQ(reuse->evaluations(), 4);
  EXPECT_EQ(reuse->seconds(), 5);
  EXPECT_EQ(reads_, 4) << "of the base alone";

  // Replicates that the base lacks were not trained yet.
  const records::State lacking = testing::LackingState();
  const auto some = BuildReuse({*system_, record_.update, *lacking.live_standing, read_});
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->versions(), 2);
}

TEST_F(EvidenceTest, HasWhatTheLossesWereComputedOn) {
  for (records::StepRecord& step : record_.steps) {
    if (step.step.kind() != v1::Step::EVALUATE || step.step.vertex() != "b") continue;
    v1::OutputsCommitment& commitment = *step.step.mutable_evaluation()->add_commitments();
    commitment.set_version("models/ma/versions/200");
    commitment.set_split("test");
    commitment.set_outputs_digest("outputs");  // The same of both replicates.
  }
  const auto evidence = Build();
  ASSERT_TRUE(evidence.ok()) << evidence.status();
  ASSERT_EQ(evidence->commitments.size(), 1u) << "each once";
  EXPECT_EQ(evidence->commitments[0].outputs_digest(), "outputs");
  EXPECT_THAT(evidence->unverified_vertices, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace backfire::evidence
