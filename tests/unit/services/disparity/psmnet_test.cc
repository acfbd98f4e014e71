#include "services/disparity/psmnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "services/disparity/crossover_depth.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/photometric.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "tests/support/model_test_kit.h"
#include "tests/support/temporary_directory.h"

namespace backfire::disparity {
namespace {

// Small enough for a test.
PsmNetOptions Tiny() {
  PsmNetOptions options = SmallPsmNet(4);
  options.max_disparity = 32;
  return options;
}

TEST(PsmNetTest, GivesADisparityPerPixelWithinItsRange) {
  for (const int64_t hourglasses : {0, 1, 3}) {
    for (const int64_t volume_scale : {4, 8}) {
      PsmNetOptions options = Tiny();
      options.hourglasses = hourglasses;
      options.volume_scale = volume_scale;
      PsmNet network(options, 1);
      torch::manual_seed(1);
      const torch::Tensor left = torch::randn({2, 3, 64, 96});
      EXPECT_EQ(network->forward(left, left).size(),
                static_cast<size_t>(std::max<int64_t>(hourglasses, 1)));
      network->eval();
      const torch::InferenceMode no_gradient;
      const auto disparity = network->forward(left, left);
      ASSERT_EQ(disparity.size(), 1U);
      EXPECT_EQ(disparity[0].sizes(), torch::IntArrayRef({2, 64, 96}));
      EXPECT_GE(disparity[0].min().item<float>(), 0);
      EXPECT_LE(disparity[0].max().item<float>(), 31);
    }
  }
}

TEST(PsmNetTest, HasTheParametersOfThePublishedNetworks) {
  const auto count = [](const PsmNetOptions& options) {
    int64_t sum = 0;
    for (const torch::Tensor& parameter : PsmNet(options, 1)->parameters())
      sum += parameter.numel();
    return sum;
  };
  EXPECT_EQ(count(PsmNetOptions()), 5'224'768);  // Chang and Chen, table 4: 5.2 M.
  EXPECT_EQ(count(BasicPsmNet()), 3'672'896);
}

LossRules Rules(LossKind kind, double max_disparity = 1e9) {
  LossRules rules;
  rules.kind = kind;
  rules.max_disparity = max_disparity;
  return rules;
}

TEST(PsmNetTest, EveryParameterGetsAFiniteGradientThatIsNotZero) {
  PsmNetOptions options = Tiny();
  options.hourglasses = 2;
  PsmNet network(options, 1);
  torch::manual_seed(1);
  const auto disparity =
      network->forward(torch::randn({2, 3, 64, 96}), torch::randn({2, 3, 64, 96}));
  WeightedDisparityLoss(Rules(LossKind::kSmoothDisparity, 32), disparity,
                        torch::full({2, 64, 96}, 9.f), torch::full({2}, 100.f))
      .backward();
  for (const auto& parameter : network->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(torch::isfinite(parameter.value().grad()).all().item<bool>()) << parameter.key();
    EXPECT_GT(parameter.value().grad().abs().max().item<float>(), 0) << parameter.key();
  }
}

TEST(PsmNetTest, OverfitsOnePair) {
  PsmNet network(Tiny(), 1);
  torch::manual_seed(1);
  // A texture and itself moved by 6 px.
  const torch::Tensor texture = torch::randn({2, 3, 32, 102});
  const torch::Tensor left = texture.narrow(3, 0, 96), right = texture.narrow(3, 6, 96);
  torch::Tensor truth = torch::full({2, 32, 96}, 6.f);
  truth.narrow(2, 0, 6).zero_();
  backfire::testing::TemporaryDirectory directory;
  backfire::testing::RecordingJob job;
  learning::TrainingSchedule schedule;
  schedule.steps = 100;
  schedule.learning_rate = 1e-2;
  const auto status = learning::RunTraining(
      schedule, {directory / "checkpoint", directory / "weights.pth"},
      [&](int64_t) -> absl::StatusOr<torch::Tensor> {
        return WeightedDisparityLoss(Rules(LossKind::kSmoothDisparity, 32),
                                     network->forward(left, right), truth, torch::full({2}, 100.f));
      },
      *network, job);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_LT(job.last().loss(), 0.5);
}

TEST(PsmNetTest, ABatchOfOneGivesWhatABatchOfTwoGives) {
  PsmNet network(Tiny(), 1);
  network->eval();
  const torch::InferenceMode no_gradient;
  torch::manual_seed(1);
  const torch::Tensor left = torch::randn({2, 3, 64, 96}), right = torch::randn({2, 3, 64, 96});
  const torch::Tensor both = network->forward(left, right)[0];
  const torch::Tensor one = network->forward(left.narrow(0, 1, 1), right.narrow(0, 1, 1))[0];
  EXPECT_TRUE(torch::allclose(both[1], one[0], 1e-4, 1e-4));
}

TEST(PsmNetTest, SeedsDecideTheWeights) {
  const auto bytes = [](int64_t seed) { return learning::SaveWeights(*PsmNet(Tiny(), seed)); };
  EXPECT_EQ(bytes(1), bytes(1));
  EXPECT_NE(bytes(1), bytes(2));
}

TEST(OutputWeightsTest, AreThePublishedOnes) {
  EXPECT_EQ(OutputWeights(3), (std::vector<double>{0.5, 0.7, 1.0}));
  EXPECT_EQ(OutputWeights(1), (std::vector<double>{1.0}));
  EXPECT_EQ(OutputWeights(4), (std::vector<double>{0.5, 0.5, 0.7, 1.0}));
}

TEST(PhotometricTest, WithoutStrengthItNormalises) {
  torch::manual_seed(1);
  const torch::Tensor image = torch::randint(256, {6, 8, 3}, torch::kUInt8);
  Random random(1);
  const Photometric photometric(0, random);
  torch::Tensor out = torch::empty({3, 4, 5});
  photometric.Write(image.data_ptr<uint8_t>() + 3 * (8 + 2), 3 * 8, 4, 5, 1, out.data_ptr<float>());
  const torch::Tensor expected = Normalise(image.unsqueeze(0))[0].narrow(1, 1, 4).narrow(2, 2, 5);
  EXPECT_TRUE(torch::allclose(out, expected, 1e-5, 1e-5));
}

TEST(PhotometricTest, ChangesBothSidesNearlyAlikeAndKeepsGeometry) {
  // A step edge stays where it is, for every draw.
  std::vector<uint8_t> image(3 * 8);
  for (size_t i = 12; i < 24; ++i) image[i] = 200;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed), again(seed);
    const Photometric photometric(1, random), same(1, again);
    for (const int side : {0, 1}) {
      float out[24], repeated[24];
      photometric.Write(image.data(), 24, 1, 8, side, out);
      same.Write(image.data(), 24, 1, 8, side, repeated);
      EXPECT_TRUE(std::equal(out, out + 24, repeated)) << seed;
      for (size_t c = 0; c < 3; ++c) {
        const float* row = out + 8 * c;
        EXPECT_GT(*std::min_element(row + 4, row + 8), *std::max_element(row, row + 4) + 0.5)
            << seed;
      }
    }
  }
}

TEST(DisparityLossTest, DisparityIsL1OrSmoothL1OfTheValidPixels) {
  const torch::Tensor predicted = torch::tensor({{{10.f, 20.f, 5.f}}});
  const torch::Tensor truth = torch::tensor({{{12.f, 20.5f, 0.f}}});
  const torch::Tensor c = torch::tensor({100.f});
  // |2| - 0.5 and 0.5^2 / 2; the third has no truth.
  EXPECT_NEAR(DisparityLoss(Rules(LossKind::kSmoothDisparity), predicted, truth, c).item<double>(),
              (1.5 + 0.125) / 2, 1e-6);
  EXPECT_NEAR(DisparityLoss(Rules(LossKind::kDisparity), predicted, truth, c).item<double>(),
              (2 + 0.5) / 2, 1e-6);
}

TEST(DisparityLossTest, DepthIsTheErrorInMetresUpToTheDepthThatIsSupervised) {
  const torch::Tensor predicted = torch::tensor({{{10.f, 20.f, 3.f}}});
  const torch::Tensor truth = torch::tensor({{{12.5f, 25.f, 1.f}}});
  const torch::Tensor c = torch::tensor({100.f});
  // 10 - 8 and 5 - 4 metres; the third is 100 m away.
  EXPECT_NEAR(DisparityLoss(Rules(LossKind::kDepth), predicted, truth, c).item<double>(), 1.5,
              1e-6);
  // 2 - 0.5 and 1^2 / 2.
  EXPECT_NEAR(DisparityLoss(Rules(LossKind::kSmoothDepth), predicted, truth, c).item<double>(), 1,
              1e-6);
}

TEST(DisparityLossTest, DepthLossStaysFiniteWhereDisparityVanishes) {
  for (const LossKind kind : {LossKind::kDepth, LossKind::kSmoothDepth}) {
    torch::Tensor predicted = torch::zeros({1, 1, 2}).requires_grad_();
    const torch::Tensor loss =
        DisparityLoss(Rules(kind), predicted, torch::full({1, 1, 2}, 10.f), torch::tensor({100.f}));
    loss.backward();
    EXPECT_TRUE(std::isfinite(loss.item<double>()));
    // And pulls the disparity up.
    EXPECT_LT(predicted.grad().max().item<float>(), 0);
  }
}

TEST(DisparityLossTest, BeyondTheNetworksRangeNothingIsSupervised) {
  const torch::Tensor predicted = torch::tensor({{{10.f, 20.f}}});
  const torch::Tensor truth = torch::tensor({{{12.f, 33.f}}});
  EXPECT_NEAR(
      DisparityLoss(Rules(LossKind::kSmoothDisparity, 32), predicted, truth, torch::tensor({100.f}))
          .item<double>(),
      1.5, 1e-6);
  EXPECT_EQ(DisparityLoss(Rules(LossKind::kDepth, 10), predicted, truth, torch::tensor({100.f}))
                .item<double>(),
            0);
}

TEST(DisparityLossTest, FarPixelsTeachNothingOrThatTheyAreNotNear) {
  const torch::Tensor c = torch::tensor({100.f});
  // 80 m is 1.25 px. Beyond: predicted at 100 m, at 40 m and at 10 m; and one pixel at 10 m.
  const torch::Tensor truth = torch::tensor({{{0.5f, 0.5f, 0.5f, 10.f}}});
  for (const LossKind kind : {LossKind::kDepth, LossKind::kSmoothDepth, LossKind::kDisparity,
                              LossKind::kSmoothDisparity}) {
    torch::Tensor predicted = torch::tensor({{{1.f, 2.5f, 10.f, 11.f}}}).requires_grad_();
    LossRules rules = Rules(kind);
    DisparityLoss(rules, predicted, truth, c).backward();
    EXPECT_TRUE(
        torch::equal(predicted.grad() != 0, torch::tensor({{{false, false, false, true}}})));
    predicted.mutable_grad().reset();
    rules.far_weight = 0.5;
    const torch::Tensor loss = DisparityLoss(rules, predicted, truth, c);
    loss.backward();
    EXPECT_TRUE(torch::equal(predicted.grad() != 0, torch::tensor({{{false, true, true, true}}})));
    const double far = kind == LossKind::kDepth         ? 40 + 70
                       : kind == LossKind::kSmoothDepth ? 39.5 + 69.5
                       : kind == LossKind::kDisparity   ? 1.25 + 8.75
                                                        : 0.75 + 8.25;
    const double near_m = 10 - 100 / 11.0;  // Of the last pixel, whose disparity is 1 px off.
    const double near = kind == LossKind::kDepth         ? near_m
                        : kind == LossKind::kSmoothDepth ? near_m * near_m / 2
                        : kind == LossKind::kDisparity   ? 1
                                                         : 0.5;
    EXPECT_NEAR(loss.item<double>(), (0.5 * far + near) / (0.5 * 3 + 1), 1e-5);
  }
}

TEST(CrossoverDepthTest, IsTheRootMeanSquareOfSupervisedDepths) {
  LossRules rules;
  rules.max_disparity = 50;
  CrossoverDepth crossover(rules);
  const float disparity[] = {10, 5, 1, 0, 50};  // 10, 20, 100 m, unknown, beyond max_disparity.
  crossover.Add(disparity, 5, 100);
  EXPECT_EQ(crossover.pixels(), 2);
  EXPECT_NEAR(crossover.value_m(), std::sqrt((100 + 400) / 2.0), 1e-6);
}

TEST(WeightsTest, TruncatedOrForeignBytesAreDataLoss) {
  PsmNet network(Tiny(), 1);
  const std::string bytes = learning::SaveWeights(*network);
  EXPECT_EQ(learning::SaveWeights(*network), bytes);
  PsmNet other(Tiny(), 2);
  ASSERT_TRUE(learning::LoadWeights(bytes, *other).ok());
  EXPECT_EQ(learning::SaveWeights(*other), bytes);
  for (const size_t length :
       {size_t{0}, size_t{5}, size_t{30}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes.substr(0, length), *other))) << length;
  }
  EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes + "x", *other)));
  PsmNet wider(SmallPsmNet(6), 1);
  EXPECT_TRUE(absl::IsDataLoss(learning::LoadWeights(bytes, *wider)));
}

TEST(LocalContrastTest, IsTheDistanceFromTheWindowsMeanInItsDeviations) {
  torch::manual_seed(1);
  const torch::Tensor image = torch::randn({1, 2, 9, 11}, torch::kFloat64);
  const torch::Tensor contrast = LocalContrast(image, 5);
  // Inside, where both windows are whole, and in a corner, where they are not.
  for (const auto& [row, column] : {std::pair(4, 5), {0, 10}}) {
    const auto window = [](const torch::Tensor& x, int64_t y, int64_t c) {
      const int64_t top = std::max<int64_t>(y - 2, 0), side = std::max<int64_t>(c - 2, 0);
      return x.slice(2, top, std::min<int64_t>(y + 3, 9))
          .slice(3, side, std::min<int64_t>(c + 3, 11));
    };
    torch::Tensor centred = torch::zeros_like(image);
    for (int64_t y = 0; y < 9; ++y) {
      for (int64_t c = 0; c < 11; ++c) {
        centred.select(3, c).select(2, y).copy_(image.select(3, c).select(2, y) -
                                                window(image, y, c).mean({2, 3}));
      }
    }
    const torch::Tensor deviation =
        (window(centred * centred, row, column).mean() + 0.05 * 0.05).sqrt();
    const torch::Tensor expected = centred.select(3, column).select(2, row) / deviation;
    EXPECT_TRUE(torch::allclose(contrast.select(3, column).select(2, row), expected));
  }
}

TEST(LocalContrastTest, DoesNotSeeExposure) {
  torch::manual_seed(2);
  const torch::Tensor image = torch::randn({1, 3, 32, 32});
  EXPECT_TRUE(torch::allclose(LocalContrast(image, 15), LocalContrast(image * 2 + 1, 15),
                              /*rtol=*/0.01, /*atol=*/0.01));
  EXPECT_TRUE(
      torch::equal(LocalContrast(torch::ones({1, 3, 32, 32}), 15), torch::zeros({1, 3, 32, 32})));
}

}  // namespace
}  // namespace backfire::disparity
