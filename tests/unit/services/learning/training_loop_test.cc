#include "services/learning/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <limits>

#include "services/base/file.h"
#include "services/learning/adam.h"
#include "services/learning/checkpoint_weights.h"
#include "services/learning/weights.h"
#include "tests/support/model_test_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::learning {
namespace {

class Line : public torch::nn::Module {
 public:
  Line() {
    slope = register_parameter("slope", torch::tensor({0.5f, -1.f, 2.f}));
    offset = register_parameter("offset", torch::ones({1}));
  }
  torch::Tensor Loss(int64_t step) {
    const torch::Tensor x = torch::arange(3, torch::kFloat32) + static_cast<double>(step);
    return ((slope * x).sum() + offset - 3).square().sum() * 0.1;
  }
  torch::Tensor slope, offset;
};

class TrainingLoopTest : public ::testing::Test {
 protected:
  absl::Status Run(const TrainingSchedule& schedule, Line& line, testing::RecordingJob& job) {
    return RunTraining(
        schedule, {directory_ / "checkpoint", directory_ / "kept" / "weights.pth"},
        [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
          return step == nan_step_ ? line.Loss(step) * std::numeric_limits<double>::quiet_NaN()
                                   : line.Loss(step);
        },
        line, job);
  }
  testing::TemporaryDirectory directory_;
  int64_t nan_step_ = -1;
};

TEST(AdamTest, IsLibTorchsAdamWithClipping) {
  Line ours, theirs;
  Adam adam(ours);
  torch::optim::Adam optimizer(theirs.parameters(),
                               torch::optim::AdamOptions(0.1).weight_decay(0.01));
  for (int64_t step = 0; step < 20; ++step) {
    adam.ZeroGradients();
    ours.Loss(step).backward();
    adam.Step({0.1, 2.0, 0.9, 0.01});
    optimizer.zero_grad();
    theirs.Loss(step).backward();
    torch::nn::utils::clip_grad_norm_(theirs.parameters(), 2.0);
    optimizer.step();
  }
  EXPECT_TRUE(torch::allclose(ours.slope, theirs.slope, 1e-4, 1e-5)) << ours.slope << theirs.slope;
  EXPECT_TRUE(torch::allclose(ours.offset, theirs.offset, 1e-4, 1e-5));
}

TEST_F(TrainingLoopTest, ALossThatIsNoNumberStopsItAndLeavesTheLastGoodWeights) {
  nan_step_ = 7;
  TrainingSchedule schedule;
  schedule.steps = 10;
  schedule.checkpoint_steps = 3;
  Line line;
  testing::RecordingJob job;
  const absl::Status status = Run(schedule, line, job);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, ::testing::HasSubstr("the loss is nan at step 7"));
  EXPECT_THAT(message, ::testing::HasSubstr("the weights of step 6, the last good ones, are in"));
  EXPECT_TRUE(torch::isfinite(line.slope).all().item<bool>());
  // They are those of a training that stopped there, and can be imported.
  std::filesystem::remove(directory_ / "checkpoint");
  Line expected;
  testing::RecordingJob six_steps(6);
  ASSERT_TRUE(absl::IsCancelled(Run(schedule, expected, six_steps)));
  const auto file = ReadFile(directory_ / "kept" / "weights.pth");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto weights = WeightsFromCheckpoint(*file, SaveWeights(expected));
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(*weights, SaveWeights(expected));
}

TEST_F(TrainingLoopTest, GoesOnFromACheckpointToTheSameBits) {
  TrainingSchedule schedule;
  schedule.steps = 10;
  schedule.checkpoint_steps = 4;
  Line whole, broken, resumed;
  testing::RecordingJob job, interrupted(6), rest;
  ASSERT_TRUE(Run(schedule, whole, job).ok());
  std::filesystem::remove(directory_ / "checkpoint");
  ASSERT_TRUE(absl::IsCancelled(Run(schedule, broken, interrupted)));
  const absl::Status status = Run(schedule, resumed, rest);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(SaveWeights(resumed), SaveWeights(whole));
  EXPECT_EQ(rest.last().loss(), job.last().loss());
}

TEST(LearningRateTest, WarmsUpHoldsAndFalls) {
  TrainingSchedule schedule;
  schedule.steps = 100;
  schedule.learning_rate = 1;
  schedule.warmup_steps = 10;
  schedule.decay_fraction = 0.4;
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0), 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 10), 1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 59), 1);
  EXPECT_NEAR(LearningRate(schedule, 80), 1 - 0.99 * 0.5, 1e-12);
  schedule.decay = RateDecay::kCosine;
  EXPECT_NEAR(LearningRate(schedule, 70), 0.01 + 0.99 * (1 + std::sqrt(0.5)) / 2, 1e-12);
  schedule.decay = RateDecay::kStep;
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 61), 0.1);
}

}  // namespace
}  // namespace backfire::learning
