#include "orchestrator/execution/job_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace backfire::execution {
namespace {

using planning::JobRequest;
using ::testing::HasSubstr;

JobRequest Training() {
  v1::TrainRequest request;
  request.set_model("models/car");
  return request;
}

JobRequest Evaluation(const std::string& split = "test") {
  v1::EvaluateRequest request;
  request.set_split(split);
  request.mutable_bootstrap()->set_resample_count(2);
  return request;
}

v1::Job Trained() {
  v1::Job job;
  job.mutable_version()->set_name("models/car/versions/3");
  job.mutable_version()->set_digest("d");
  return job;
}

v1::Job Evaluated() {
  v1::Job job;
  job.mutable_evaluation()->set_example_count(40);
  v1::LossEstimate& judged = *job.mutable_evaluation()->add_losses();
  judged.set_loss("ap_3d");
  judged.set_judged(true);
  judged.add_resampled(1);
  judged.add_resampled(2);
  job.mutable_evaluation()->add_losses()->set_loss("only_shown");
  return job;
}

// The message for a job's result after `change`.
std::string Fault(const JobRequest& request, v1::Job job,
                  const std::function<void(v1::Job&)>& change) {
  EXPECT_TRUE(CheckJobResult(request, job).ok()) << CheckJobResult(request, job);
  change(job);
  const absl::Status status = CheckJobResult(request, job);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  return std::string(status.message());
}

TEST(CheckJobResultTest, ATrainingGivesAVersionOfItsModel) {
  const auto fault = [](const std::function<void(v1::Job&)>& change) {
    return Fault(Training(), Trained(), change);
  };
  EXPECT_THAT(fault([](v1::Job& job) { job.clear_version(); }), HasSubstr("version is missing"));
  for (const char* name :
       {"", "models/car/versions/two", "models/other/versions/3", "models/car/versions/0"}) {
    EXPECT_THAT(fault([&](v1::Job& job) { job.mutable_version()->set_name(name); }),
                HasSubstr("version.name must be models/car/versions/{number}: got"));
  }
  EXPECT_THAT(fault([](v1::Job& job) { job.mutable_version()->clear_digest(); }),
              HasSubstr("version.digest must not be empty"));
}

TEST(CheckJobResultTest, AnEvaluationOfTheTestSplitHasItsResamples) {
  const auto fault = [](const std::function<void(v1::Job&)>& change) {
    return Fault(Evaluation(), Evaluated(), change);
  };
  EXPECT_THAT(fault([](v1::Job& job) { job.clear_evaluation(); }),
              HasSubstr("evaluation is missing"));
  EXPECT_THAT(fault([](v1::Job& job) { job.mutable_evaluation()->clear_losses(); }),
              HasSubstr("evaluation.losses must not be empty"));
  EXPECT_THAT(fault([](v1::Job& job) { job.mutable_evaluation()->clear_example_count(); }),
              HasSubstr("evaluation.example_count must be at least 1: got 0"));
  EXPECT_THAT(fault([](v1::Job& job) {
                job.mutable_evaluation()->set_cluster_count(job.evaluation().example_count() + 1);
              }),
              HasSubstr("evaluation.cluster_count must be in [0, 40]: got 41"));
  EXPECT_THAT(
      fault([](v1::Job& job) { job.mutable_evaluation()->mutable_losses(0)->clear_loss(); }),
      HasSubstr("evaluation.losses[0].loss must not be empty"));
  EXPECT_THAT(
      fault([](v1::Job& job) { job.mutable_evaluation()->mutable_losses(0)->add_resampled(3); }),
      HasSubstr("evaluation.losses[0].resampled of loss ap_3d must have 2 values, one per "
                "resample: got 3"));
}

TEST(CheckJobResultTest, ThePopulationHasNoResamples) {
  v1::Job job = Evaluated();
  job.mutable_evaluation()->mutable_losses(0)->clear_resampled();
  job.mutable_evaluation()->clear_example_count();
  EXPECT_TRUE(CheckJobResult(Evaluation("population"), job).ok());
}

TEST(CheckJobResultTest, ACommitmentIsToWhatWasAskedFor) {
  v1::CommitOutputsRequest request;
  request.set_version("models/car/versions/3");
  request.set_digest("d");
  request.set_split("test");
  v1::Job job;
  v1::OutputsCommitment& commitment = *job.mutable_commitment();
  commitment.set_version("models/car/versions/3");
  commitment.set_version_digest("d");
  commitment.set_split("test");
  commitment.set_dataset_digest("data");
  commitment.set_outputs_digest(std::string(64, '0'));
  const auto fault = [&](void (*spoil)(v1::OutputsCommitment&)) {
    return Fault(request, job, [&](v1::Job& result) { spoil(*result.mutable_commitment()); });
  };
  EXPECT_THAT(fault([](v1::OutputsCommitment& c) { c.set_version("models/car/versions/2"); }),
              HasSubstr("commitment.version must be"));
  EXPECT_THAT(fault([](v1::OutputsCommitment& c) { c.set_version_digest("e"); }),
              HasSubstr("commitment.version_digest must be"));
  EXPECT_THAT(fault([](v1::OutputsCommitment& c) { c.set_split("train"); }),
              HasSubstr("commitment.split must be"));
  EXPECT_THAT(fault([](v1::OutputsCommitment& c) { c.clear_dataset_digest(); }),
              HasSubstr("commitment.dataset_digest"));
  EXPECT_THAT(fault([](v1::OutputsCommitment& c) { c.set_outputs_digest("0"); }),
              HasSubstr("commitment.outputs_digest must have 64"));
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckJobResult(request, v1::Job())));
}

TEST(CheckJobResultTest, WhoVerifiesSaysWhatItHeldItsParentsTo) {
  v1::TrainRequest request;
  request.set_model("models/car");
  request.add_lineage()->set_digest("p");
  v1::OutputsCommitment& commitment = *request.add_commitments();
  commitment.set_version_digest("p");
  commitment.set_split("train");
  commitment.set_outputs_digest("o");
  request.add_commitments()->set_version_digest("an ancestor's");
  v1::Job job = Trained();
  EXPECT_TRUE(CheckJobResult(request, job).ok()) << "it has no such capability";
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckJobResult(request, job, /*verifies=*/true)));
  *job.mutable_version()->add_trained_on() = commitment;
  EXPECT_TRUE(CheckJobResult(request, job, /*verifies=*/true).ok());
  job.mutable_version()->mutable_trained_on(0)->set_outputs_digest("others");
  EXPECT_THAT(std::string(CheckJobResult(request, job, /*verifies=*/true).message()),
              HasSubstr("version.trained_on"));
}

}  // namespace
}  // namespace backfire::execution
