#include "services/runtime/jobs/evaluator.h"

#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

class EvaluatorTest : public ::testing::Test {
 protected:
  v1::EvaluateRequest Request() const {
    v1::EvaluateRequest request;
    request.set_version("models/m/versions/1");
    request.mutable_dataset()->set_uri("toy:8");
    request.set_split("test");
    request.mutable_bootstrap()->set_resample_count(3);
    return request;
  }
  HostedToy toy_{"m", "x"};
};

TEST_F(EvaluatorTest, FindsLossesAndRemembersThoseOfTheTestSplit) {
  toy_.TrainedVersion(/*offset=*/1);
  EXPECT_TRUE(toy_->evaluator().TestLosses(1).empty());
  UnwatchedJob job;
  v1::Job result;
  v1::EvaluateRequest request = Request();
  request.set_split("validation");
  ASSERT_TRUE(toy_->evaluator().Evaluate(request, job, result).ok());
  EXPECT_TRUE(toy_->evaluator().TestLosses(1).empty());
  const absl::Status status = toy_->evaluator().Evaluate(Request(), job, result);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(result.evaluation().example_count(), 8);
  ASSERT_EQ(result.evaluation().losses_size(), 1);
  EXPECT_EQ(result.evaluation().losses(0).resampled_size(), 3);
  EXPECT_GT(result.evaluation().losses(0).value(), 0.1) << "it is off by x";
  const auto losses = toy_->evaluator().TestLosses(1);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_EQ(losses[0].value(), result.evaluation().losses(0).value());
  EXPECT_EQ(losses[0].resampled_size(), 0);
  toy_->evaluator().Forget(1);
  EXPECT_TRUE(toy_->evaluator().TestLosses(1).empty());
}

TEST_F(EvaluatorTest, FindsFaultsBeforeAnythingRuns) {
  toy_.TrainedVersion();
  const auto check = [&](void (*spoil)(v1::EvaluateRequest&)) {
    v1::EvaluateRequest request = Request();
    spoil(request);
    return toy_->evaluator().Check(request);
  };
  EXPECT_TRUE(check([](v1::EvaluateRequest&) {}).ok());
  EXPECT_TRUE(absl::IsNotFound(
      check([](v1::EvaluateRequest& r) { r.set_version("models/m/versions/2"); })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::EvaluateRequest& r) { r.set_split("exam"); })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::EvaluateRequest& r) { r.clear_dataset(); })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      check([](v1::EvaluateRequest& r) { r.mutable_bootstrap()->set_resample_count(10001); })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::EvaluateRequest& r) {
    v1::Version any;
    any.set_name("models/p/versions/1");
    any.set_digest(std::string(64, '0'));
    *r.add_swapped_parents() = FedBy(any, "x");
  }))) << "its lineage is empty";
}

}  // namespace
}  // namespace backfire::runtime
