#include "services/disparity/psmnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>

#include "services/disparity/disparity_loss.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "tests/support/model_test_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::disparity {
namespace {

TEST(PsmNetTest, GivesADisparityPerPixelWithinItsRange) {
  torch::manual_seed(1);
  PsmNet network(PsmNetOptions{32, 4});
  network->eval();
  const torch::InferenceMode no_gradient;
  for (const auto& [height, width] : {std::pair(64, 96), std::pair(32, 64)}) {
    const torch::Tensor left = torch::randn({1, 3, height, width});
    const torch::Tensor disparity = network->forward(left, left);
    EXPECT_EQ(disparity.sizes(), torch::IntArrayRef({1, height, width}));
    EXPECT_GE(disparity.min().item<float>(), 0);
    EXPECT_LT(disparity.max().item<float>(), 32);
  }
}

// The doubled batch of small convolutions must not show in the result.
TEST(PsmNetTest, ABatchOfOneGivesWhatABatchOfTwoGives) {
  torch::manual_seed(1);
  PsmNet network(PsmNetOptions{32, 4});
  network->eval();
  const torch::InferenceMode no_gradient;
  const torch::Tensor left = torch::randn({2, 3, 64, 96}), right = torch::randn({2, 3, 64, 96});
  const torch::Tensor both = network->forward(left, right);
  const torch::Tensor one = network->forward(left.narrow(0, 1, 1), right.narrow(0, 1, 1));
  EXPECT_TRUE(torch::allclose(both[1], one[0], 1e-4, 1e-4));
}

TEST(DisparityLossTest, DisparityIsSmoothL1OfTheValidPixels) {
  const torch::Tensor predicted = torch::tensor({{{10.f, 20.f, 5.f}}});
  const torch::Tensor truth = torch::tensor({{{12.f, 20.5f, 0.f}}});
  const torch::Tensor c = torch::tensor({100.f});
  // |2| - 0.5 and 0.5^2 / 2; the third has no truth.
  EXPECT_NEAR(DisparityLoss(LossKind::kDisparity, predicted, truth, c, 80).item<double>(),
              (1.5 + 0.125) / 2, 1e-6);
}

TEST(DisparityLossTest, DepthIsTheErrorInMetresUpToTheDepthThatIsSupervised) {
  const torch::Tensor predicted = torch::tensor({{{10.f, 20.f, 3.f}}});
  const torch::Tensor truth = torch::tensor({{{12.5f, 25.f, 1.f}}});
  const torch::Tensor c = torch::tensor({100.f});
  // 10 - 8 and 5 - 4 metres; the third is 100 m away.
  EXPECT_NEAR(DisparityLoss(LossKind::kDepth, predicted, truth, c, 80).item<double>(), 1.5, 1e-6);
}

TEST(DisparityLossTest, DepthLossStaysFiniteWhereDisparityVanishes) {
  torch::Tensor predicted = torch::zeros({1, 1, 2}).requires_grad_();
  const torch::Tensor loss = DisparityLoss(
      LossKind::kDepth, predicted, torch::full({1, 1, 2}, 10.f), torch::tensor({100.f}), 80);
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
  // And pulls the disparity up.
  EXPECT_LT(predicted.grad().max().item<float>(), 0);
}

TEST(WeightsTest, TruncatedOrForeignBytesAreDataLoss) {
  PsmNet network(PsmNetOptions{32, 4});
  const std::string bytes = learning::SaveWeights(*network);
  EXPECT_EQ(learning::SaveWeights(*network), bytes);
  PsmNet other(PsmNetOptions{32, 4});
  ASSERT_TRUE(learning::LoadWeights(bytes, *other).ok());
  EXPECT_EQ(learning::SaveWeights(*other), bytes);
  for (const size_t length :
       {size_t{0}, size_t{5}, size_t{30}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes.substr(0, length), *other))) << length;
  }
  EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes + "x", *other)));
  PsmNet wider(PsmNetOptions{32, 6});
  EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes, *wider)));
}

class Line : public torch::nn::Module {
 public:
  Line() { slope = register_parameter("slope", torch::zeros({1})); }
  torch::Tensor slope;
};

TEST(TrainingLoopTest, ALossThatIsNoNumberStopsItAndNamesTheStep) {
  backfire::testing::TemporaryDirectory directory;
  Line line;
  backfire::testing::RecordingJob job;
  learning::TrainingSchedule schedule;
  schedule.steps = 10;
  const absl::Status status = learning::RunTraining(
      schedule, directory / "checkpoint",
      [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
        const double factor = step == 3 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
        return (line.slope * factor).sum();
      },
      line, job);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("at step 3"));
}

TEST(TrainingLoopTest, TheRateWarmsUpHoldsAndFalls) {
  learning::TrainingSchedule schedule;
  schedule.steps = 100;
  schedule.learning_rate = 1;
  schedule.warmup_steps = 10;
  schedule.decay_fraction = 0.4;
  EXPECT_DOUBLE_EQ(learning::LearningRate(schedule, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning::LearningRate(schedule, 10), 1);
  EXPECT_DOUBLE_EQ(learning::LearningRate(schedule, 59), 1);
  EXPECT_NEAR(learning::LearningRate(schedule, 80), 1 - 0.99 * 0.5, 1e-12);
}

}  // namespace
}  // namespace backfire::disparity
