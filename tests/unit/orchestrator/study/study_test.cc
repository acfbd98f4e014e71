#include "orchestrator/study/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::study {
namespace {

using ::testing::HasSubstr;

v1::Update Harmed() {
  v1::Update update;
  v1::Verdict& verdict = *update.mutable_verdict();
  verdict.set_outcome(v1::Verdict::SELF_DEFEATING);
  verdict.set_definition_2_1(true);
  verdict.set_replicates(5);
  v1::LossComparison& candidate = *verdict.add_comparisons();
  candidate.set_vertex("u");
  candidate.set_candidate(true);
  v1::LossComparison& harmed = *verdict.add_comparisons();
  harmed.set_vertex("w");
  harmed.set_loss("class_error");
  harmed.set_before(0.1);
  harmed.set_after(0.3);
  harmed.set_outcome(v1::LossComparison::WORSE);
  v1::VertexDiagnosis& diagnosis = *update.add_diagnoses();
  diagnosis.set_vertex("w");
  diagnosis.set_loss("class_error");
  diagnosis.set_cause("compatibility");
  diagnosis.mutable_before()->set_loss(0.11);
  diagnosis.mutable_after()->set_loss(0.31);
  diagnosis.mutable_after()->set_upstream(0.2);
  diagnosis.mutable_before()->set_compatibility(0);
  diagnosis.mutable_after()->set_compatibility(0.2);
  diagnosis.mutable_before()->set_excess_upstream(0);
  diagnosis.mutable_after()->set_excess_upstream(0);
  return update;
}

TEST(StudyTest, AResultIsWhatTheUpdateSays) {
  v1::System system;
  system.set_name("figure");
  v1::Proposal proposal;
  proposal.set_vertex("u");
  proposal.set_expected_verdict("SELF_DEFEATING");
  proposal.set_expected_cause("compatibility");
  SystemResult result = Summarise(system, proposal, Harmed());
  EXPECT_TRUE(result.as_expected());
  EXPECT_TRUE(result.definition_2_1());
  ASSERT_EQ(result.vertices_size(), 1);
  EXPECT_EQ(result.vertices(0).loss_after(), 0.3);
  EXPECT_EQ(result.vertices(0).true_loss_after(), 0.31);
  EXPECT_EQ(result.vertices(0).terms_after().compatibility(), 0.2);
  EXPECT_THAT(ResultsText({result}), HasSubstr("compatibility"));

  proposal.set_expected_cause("approximation");
  EXPECT_FALSE(Summarise(system, proposal, Harmed()).as_expected());
  proposal.clear_expected_cause();
  proposal.set_expected_verdict("SAFE");
  EXPECT_FALSE(Summarise(system, proposal, Harmed()).as_expected());
}

TEST(StudyTest, AnUndiagnosedVertexHasNoTerms) {
  v1::Update update = Harmed();
  update.clear_diagnoses();
  const SystemResult result = Summarise({}, {}, update);
  EXPECT_FALSE(result.vertices(0).has_terms_before());
}

}  // namespace
}  // namespace backfire::study
