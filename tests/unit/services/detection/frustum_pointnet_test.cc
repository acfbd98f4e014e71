#include "services/detection/frustum_pointnet.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "services/learning/weights.h"

namespace backfire::detection {
namespace {

FrustumPointNetOptions Small() {
  FrustumPointNetOptions options;
  options.width = 0.125;
  options.object_points = 16;
  return options;
}

torch::Tensor OneHot(int64_t batch) {
  torch::Tensor one_hot = torch::zeros({batch, kFrustumClasses});
  one_hot.select(1, 0).fill_(1);
  return one_hot;
}

// A car at the origin, heading -2 rad, whose prediction is exact.
struct ExactCar {
  FrustumTruth truth;
  FrustumPrediction prediction;
  ExactCar() {
    truth.mask = torch::tensor({{int64_t{1}, int64_t{0}}});
    truth.center = torch::tensor({{0.1f, 0.2f, 0.3f}});
    const auto [bin, residual] = HeadingBin(-2);
    truth.heading_bin = torch::tensor({bin});
    truth.heading_residual = torch::tensor({static_cast<float>(residual)});
    truth.size_cluster = torch::tensor({int64_t{0}});
    truth.size_residual = torch::tensor({{0.3f, 0.1f, -0.1f}});
    prediction.logits = torch::tensor({{{-9.f, 9.f}, {9.f, -9.f}}});
    prediction.center = prediction.stage1_center = truth.center.clone();
    prediction.heading_scores = torch::zeros({1, kHeadingBins});
    prediction.heading_scores[0][bin] = 20;
    prediction.heading_residual = torch::zeros({1, kHeadingBins});
    prediction.heading_residual[0][bin] = residual / (M_PI / kHeadingBins);
    prediction.size_scores = torch::zeros({1, kSizeClusterCount});
    prediction.size_scores[0][0] = 20;
    prediction.size_residual = torch::zeros({1, kSizeClusterCount, 3});
    const SizeCluster& car = kSizeClusters[0];
    prediction.size_residual[0][0] =
        truth.size_residual[0] / torch::tensor({car.length, car.width, car.height});
  }
};

FrustumLossOptions ResidualOnce() {
  FrustumLossOptions options;
  options.doubled_size_residual = false;
  return options;
}

TEST(HeadingBinTest, BinsAreCentredOnMultiplesOfThirtyDegrees) {
  const double degree = M_PI / 180;
  EXPECT_EQ(HeadingBin(0).first, 0);
  EXPECT_NEAR(HeadingBin(0).second, 0, 1e-12);
  EXPECT_EQ(HeadingBin(14 * degree).first, 0);
  EXPECT_EQ(HeadingBin(16 * degree).first, 1);
  EXPECT_NEAR(HeadingBin(16 * degree).second, -14 * degree, 1e-12);
  EXPECT_EQ(HeadingBin(-14 * degree).first, 0);
  EXPECT_NEAR(HeadingBin(-14 * degree).second, -14 * degree, 1e-12);
  EXPECT_EQ(HeadingBin(-90 * degree).first, 9);
  EXPECT_EQ(HeadingBin(725 * degree).first, 0);
  EXPECT_NEAR(HeadingBin(725 * degree).second, 5 * degree, 1e-9);
}

TEST(FrustumLossTest, AnExactPredictionHasAlmostNone) {
  const ExactCar car;
  EXPECT_LT(ComputeFrustumLoss(car.prediction, car.truth, ResidualOnce()).total.item<double>(),
            1e-3);
}

TEST(FrustumLossTest, ThePublishedCornersAddTheResidualTwice) {
  const ExactCar car;
  // Corners of an exact box are off by half the residual in each direction: |(0.15, 0.05, 0.05)|.
  const double off = std::sqrt(0.15 * 0.15 + 2 * 0.05 * 0.05);
  EXPECT_NEAR(ComputeFrustumLoss(car.prediction, car.truth, {}).corners.item<double>(),
              10 * off * off / 2, 1e-4);
}

TEST(FrustumLossTest, EachTermHasItsWeight) {
  // A centre 1 m off: Huber of 1 within 2 is 0.5; 8 corners off by 1 m: 10 * 0.5.
  ExactCar car;
  car.prediction.center = car.truth.center + torch::tensor({{0.f, 0.f, 1.f}});
  FrustumLoss loss = ComputeFrustumLoss(car.prediction, car.truth, ResidualOnce());
  EXPECT_NEAR(loss.center.item<double>(), 0.5, 1e-5);
  EXPECT_NEAR(loss.corners.item<double>(), 5, 1e-4);
  EXPECT_NEAR(loss.stage1_center.item<double>(), 0, 1e-5);
  FrustumLossOptions port = ResidualOnce();
  port.stage1_from_label = false;
  loss = ComputeFrustumLoss(car.prediction, car.truth, port);
  EXPECT_NEAR(loss.stage1_center.item<double>(), 0.5, 1e-5) << "the port compares predictions";
  // 3 m off: 2 * 3 - 2 in the centre, 3 - 0.5 at the first stage.
  car.prediction.center = car.truth.center + torch::tensor({{3.f, 0.f, 0.f}});
  car.prediction.stage1_center = car.prediction.center;
  loss = ComputeFrustumLoss(car.prediction, car.truth, ResidualOnce());
  EXPECT_NEAR(loss.center.item<double>(), 4, 1e-5);
  EXPECT_NEAR(loss.stage1_center.item<double>(), 2.5, 1e-5);
}

TEST(FrustumLossTest, TurnedRoundTheCornersAreTheSame) {
  ExactCar car;
  const auto [bin, residual] = HeadingBin(-2 + M_PI);
  car.truth.heading_bin = torch::tensor({bin});
  car.truth.heading_residual = torch::tensor({static_cast<float>(residual)});
  car.prediction.heading_residual[0][bin] = residual / (M_PI / kHeadingBins);
  const FrustumLoss loss = ComputeFrustumLoss(car.prediction, car.truth, ResidualOnce());
  EXPECT_NEAR(loss.corners.item<double>(), 0, 1e-5);
  EXPECT_GT(loss.heading_class.item<double>(), 10);
}

TEST(FrustumLossTest, AFrustumWithoutPointsCountsInItsSegmentationAlone) {
  ExactCar car;
  car.prediction.center = car.truth.center + 5;
  car.truth.weight = torch::zeros({1});
  const FrustumLoss loss = ComputeFrustumLoss(car.prediction, car.truth, {});
  EXPECT_EQ(loss.total.item<float>(), loss.mask.item<float>());
}

TEST(FrustumPointNetTest, HasThePublishedParameters) {
  const FrustumPointNet network{FrustumPointNetOptions{}};
  int64_t count = 0;
  for (const torch::Tensor& parameter : network->parameters()) count += parameter.numel();
  EXPECT_EQ(count, 1'641'472);  // As the authors' PyTorch port counts them.
}

TEST(FrustumPointNetTest, EveryParameterHasAFiniteGradient) {
  torch::manual_seed(1);
  FrustumPointNet network(Small());
  network->train();
  const torch::Tensor points = torch::randn({6, 64, kFrustumChannels});
  Random random(1);
  const FrustumPrediction p = network->forward(points, OneHot(6), &random);
  EXPECT_EQ(p.logits.sizes(), (std::vector<int64_t>{6, 64, 2}));
  EXPECT_EQ(p.object_points.sizes(), (std::vector<int64_t>{6, 16, 3}));
  EXPECT_EQ(p.box.sizes(), (std::vector<int64_t>{6, 59}));
  FrustumTruth truth;
  truth.mask = torch::ones({6, 64}, torch::kInt64);
  truth.center = torch::ones({6, 3});
  truth.heading_bin = torch::full({6}, 3, torch::kInt64);
  truth.heading_residual = torch::full({6}, 0.1f);
  truth.size_cluster = torch::zeros({6}, torch::kInt64);
  truth.size_residual = torch::full({6, 3}, 0.2f);
  ComputeFrustumLoss(p, truth, {}).total.backward();
  for (const auto& parameter : network->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
  }
}

TEST(FrustumPointNetTest, LearnsOneBatch) {
  torch::manual_seed(2);
  FrustumPointNetOptions options = Small();
  options.dropout = 0;
  FrustumPointNet network(options);
  network->train();
  const torch::Tensor points = torch::randn({4, 64, kFrustumChannels});
  FrustumTruth truth;
  truth.mask = (points.select(2, 0) > 0).to(torch::kInt64);
  truth.center = torch::randn({4, 3});
  truth.heading_bin = torch::tensor({int64_t{0}, int64_t{3}, int64_t{7}, int64_t{11}});
  truth.heading_residual = torch::full({4}, 0.1f);
  truth.size_cluster = torch::zeros({4}, torch::kInt64);
  truth.size_residual = torch::full({4, 3}, 0.1f);
  torch::optim::Adam optimizer(network->parameters(), torch::optim::AdamOptions(5e-3));
  double first = 0, last = 0;
  for (int step = 0; step < 120; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss =
        ComputeFrustumLoss(network->forward(points, OneHot(4)), truth, ResidualOnce()).total;
    last = loss.item<double>();
    if (step == 0) first = last;
    loss.backward();
    optimizer.step();
  }
  EXPECT_LT(last, 0.1 * first);
}

TEST(FrustumPointNetTest, SavedAndLoadedItSaysTheSame) {
  torch::manual_seed(3);
  FrustumPointNet network(Small());
  torch::manual_seed(4);
  FrustumPointNet other(Small());
  const torch::Tensor points = torch::randn({2, 32, kFrustumChannels});
  for (FrustumPointNet* each : {&network, &other}) (*each)->eval();
  const torch::Tensor expected = network->forward(points, OneHot(2)).box;
  EXPECT_FALSE(torch::equal(other->forward(points, OneHot(2)).box, expected));
  ASSERT_TRUE(learning::LoadWeights(learning::SaveWeights(*network), *other).ok());
  EXPECT_TRUE(torch::equal(other->forward(points, OneHot(2)).box, expected));
}

TEST(FrustumPointNetTest, WithoutAMaskTheObjectHasNoPoints) {
  torch::manual_seed(5);
  FrustumPointNet network(Small());
  network->eval();
  // A bias that makes every point clutter.
  for (auto& parameter : network->named_parameters()) {
    if (parameter.key() == "InsSeg.dconv5.bias") {
      torch::NoGradGuard no_gradient;
      parameter.value().copy_(torch::tensor({100.f, -100.f}));
    }
  }
  const FrustumPrediction p = network->forward(torch::randn({2, 32, kFrustumChannels}), OneHot(2));
  EXPECT_FALSE(p.mask.any().item<bool>());
  EXPECT_TRUE((p.object_points == 0).all().item<bool>());
  EXPECT_TRUE(p.box.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace backfire::detection
