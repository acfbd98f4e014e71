#include "services/detection/point_rcnn/point_rcnn.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "services/detection/point_rcnn/box_coding.h"
#include "services/detection/point_rcnn/proposal_layer.h"
#include "services/detection/point_rcnn/stage_losses.h"

namespace backfire::detection {
namespace {

using at::Tensor;

int64_t ParameterCount(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

PointRcnnOptions Small() {
  PointRcnnOptions options;
  options.points = 512;
  options.width = 0.125;
  options.radius_scale = 8;
  options.roi_points = 32;
  return options;
}

// A street's cloud, [points, 3].
Tensor Cloud(int64_t points, uint64_t seed) {
  Random random(seed);
  Tensor xyz = at::empty({points, 3});
  auto* p = xyz.data_ptr<float>();
  for (int64_t i = 0; i < points; ++i) {
    p[3 * i] = static_cast<float>(random.Uniform(-8, 8));
    p[3 * i + 1] = static_cast<float>(random.Uniform(0, 1.6));
    p[3 * i + 2] = static_cast<float>(random.Uniform(4, 40));
  }
  return xyz;
}

// As after some training: statistics of batch norm that are not those of the beginning.
void Stir(torch::nn::Module& network) {
  const at::NoGradGuard no_gradient;
  Random random(7);
  for (auto& buffer : network.named_buffers()) {
    if (buffer.value().scalar_type() != at::kFloat) continue;
    auto* values = buffer.value().data_ptr<float>();
    for (int64_t i = 0; i < buffer.value().numel(); ++i) {
      values[i] += static_cast<float>(random.Uniform(0, 0.3));
    }
  }
}

TEST(PointRcnnTest, HasThePublishedNumberOfParameters) {
  const PointRcnn network(PointRcnnOptions(), 1);
  EXPECT_EQ(ParameterCount(*network), 3'887'452);
  EXPECT_EQ(ParameterCount(*network->proposals), 3'050'669);
  EXPECT_EQ(ParameterCount(*network->refinement), 836'783);
}

TEST(PointRcnnTest, FoldedWeightsSayWhatTheLayersSay) {
  PointRcnn network(Small(), 1);
  Stir(*network);
  network->eval();
  const pointnet2::Clouds clouds =
      pointnet2::StackClouds(at::stack({Cloud(512, 1), Cloud(512, 2)}));
  const PointPredictions layered = network->proposals->forward(clouds, nullptr);
  EXPECT_TRUE(layered.scores.requires_grad());
  const at::NoGradGuard no_gradient;
  const PointPredictions folded = network->proposals->forward(clouds, nullptr);
  EXPECT_TRUE(at::allclose(folded.features, layered.features, 1e-3, 1e-4));
  EXPECT_TRUE(at::allclose(folded.scores, layered.scores, 1e-3, 1e-4));
  EXPECT_TRUE(at::allclose(folded.regression, layered.regression, 1e-3, 1e-4));
}

RoiPoints Pooled(const Tensor& xyz, const Tensor& rois, int64_t limit) {
  Random random(3);
  Tensor features = at::empty({xyz.size(0), 16});
  for (int64_t i = 0; i < features.numel(); ++i) {
    features.data_ptr<float>()[i] = static_cast<float>(random.Uniform());
  }
  return PoolRois(xyz, at::ones({xyz.size(0)}), NormalisedDepth(xyz), features, rois, limit);
}

TEST(PointRcnnTest, RepeatedPointsChangeNothingInTheSecondStage) {
  PointRcnn network(Small(), 1);
  network->eval();
  const at::NoGradGuard no_gradient;
  const Tensor rois = at::tensor({0.f, 1.6f, 20.f, 1.5f, 2.f, 4.f, 0.4f}).view({1, 7});
  const RoiPoints once = Pooled(Cloud(512, 1), rois, 32);
  const int64_t count = once.clouds.xyz.size(0);
  ASSERT_GT(count, 1);
  ASSERT_LT(count, 32);
  const Tensor index = at::arange(32).remainder(count);
  RoiPoints filled = once;
  filled.clouds.xyz = once.clouds.xyz.index_select(0, index);
  filled.clouds.start = {0, 32};
  filled.extra = once.extra.index_select(0, index);
  filled.features = once.features.index_select(0, index);
  const RoiPredictions a = network->refinement->forward(once);
  const RoiPredictions b = network->refinement->forward(filled);
  EXPECT_TRUE(at::allclose(a.scores, b.scores, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(a.regression, b.regression, 1e-4, 1e-5));
}

TEST(PointRcnnTest, AnEmptyRoiHasOnePointAndNoFeatures) {
  const Tensor rois = at::tensor({30.f, 1.f, 60.f, 1.5f, 2.f, 4.f, 0.f}).view({1, 7});
  const RoiPoints pooled = Pooled(Cloud(64, 1), rois, 32);
  EXPECT_EQ(pooled.counts, (std::vector<int64_t>{0}));
  EXPECT_TRUE(at::equal(pooled.clouds.xyz, at::tensor({-30.f, -1.f, -60.f}).view({1, 3})));
  EXPECT_EQ(pooled.features.abs().sum().item<double>(), 0);
}

TEST(PointRcnnTest, EveryParameterGetsAFiniteGradient) {
  PointRcnn network(Small(), 1);
  network->train();
  const Tensor xyz = Cloud(512, 1);
  Random dropout(1);
  const PointPredictions points = network->proposals->forward(
      pointnet2::StackClouds(at::stack({xyz, Cloud(512, 2)})), &dropout);
  Tensor truth = at::zeros({1024, 7});
  truth.narrow(1, 3, 3).fill_(1.7);
  const StageLoss first =
      ProposalLoss(points.scores, points.regression, at::arange(1024).remainder(3) - 1, truth,
                   network->options.mean_size);
  const Tensor rois =
      at::tensor({0.f, 1.6f, 20.f, 1.5f, 2.f, 4.f, 0.4f, 1.f, 1.6f, 10.f, 1.5f, 2.f, 4.f, 2.f})
          .view({2, 7});
  const RoiPredictions refined = network->refinement->forward(Pooled(xyz, rois, 32));
  const Tensor labels = at::arange(2);
  const StageLoss second =
      RefinementLoss(refined.scores, refined.regression, labels, at::ones({2}, at::kLong),
                     truth.narrow(0, 0, 2), network->options.mean_size);
  (first.total + second.total).backward();
  for (const auto& parameter : network->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(at::isfinite(parameter.value().grad()).all().item<bool>()) << parameter.key();
  }
}

TEST(BoxCodingTest, WhatIsEncodedByHandIsDecoded) {
  // First stage: x in bin 7 (0.5 to 1 m), z in bin 2 (-2 to -1.5 m), heading in bin 3 (90 degrees).
  Tensor regression = at::zeros({1, kProposalCoding.columns()});
  ASSERT_EQ(regression.size(1), 76);
  regression[0][7] = 5;
  regression[0][12 + 2] = 5;
  regression[0][24 + 7] = 0.2;   // 0.75 + 0.1
  regression[0][36 + 2] = -0.4;  // -1.75 - 0.2
  regression[0][48] = 0.3;
  regression[0][49 + 3] = 5;
  regression[0][61 + 3] = 0.5;  // 90 + 7.5 degrees
  regression[0][73] = 0.1;
  const std::array<float, 3> mean{1.5f, 1.6f, 4};
  const Tensor point = at::tensor({10.f, 1.f, 20.f}).view({1, 3});
  const Tensor box = DecodeBoxes(point, regression, kProposalCoding, mean);
  const Tensor expected = at::tensor({10.85, 1.3, 18.05, 1.65, 1.6, 4.0, 97.5 / 180 * M_PI})
                              .to(at::kFloat)
                              .view({1, 7});
  EXPECT_TRUE(at::allclose(box, expected, 1e-5, 1e-5));

  // The loss of just this is what its bins leave, which surer scores make vanish.
  Tensor truth = expected.clone();
  truth.narrow(1, 0, 3).sub_(point);
  const RegressionLoss loss = LossOfRegression(regression, truth, kProposalCoding, mean);
  EXPECT_NEAR(loss.x_residual.item<double>(), 0, 1e-6);
  EXPECT_NEAR(loss.z_residual.item<double>(), 0, 1e-6);
  EXPECT_NEAR(loss.y.item<double>(), 0, 1e-6);
  EXPECT_NEAR(loss.heading_residual.item<double>(), 0, 1e-6);
  EXPECT_NEAR(loss.size.item<double>(), 0, 1e-6);
  const double left = std::log(1 + 11 * std::exp(-5.0));  // Cross entropy of 5 among 12.
  EXPECT_NEAR(loss.x_bin.item<double>(), left, 1e-5);
  EXPECT_NEAR(loss.heading_bin.item<double>(), left, 1e-5);
}

TEST(BoxCodingTest, RefinementTurnsWithItsRoi) {
  // The middle bins' residual zero: x in bin 3 is 0.25 m ahead along the RoI's length.
  Tensor regression = at::zeros({1, kRefinementCoding.columns()});
  ASSERT_EQ(regression.size(1), 46);
  regression[0][3] = 5;
  regression[0][6 + 2] = 5;
  regression[0][12 + 3] = 0.5;  // 0.25 + 0.25
  regression[0][18 + 2] = 0.5;  // -0.25 + 0.25
  regression[0][25 + 4] = 5;    // The middle of nine bins: no turn.
  const std::array<float, 3> mean{1.5f, 1.6f, 4};
  const auto heading = static_cast<float>(-M_PI / 2);  // Length along +z.
  const Tensor roi = at::tensor({5.f, 1.f, 20.f, 1.f, 1.f, 1.f, heading}).view({1, 7});
  const Tensor box = DecodeBoxes(roi, regression, kRefinementCoding, mean);
  EXPECT_TRUE(at::allclose(
      box, at::tensor({5.f, 1.f, 20.5f, 1.5f, 1.6f, 4.f, heading}).view({1, 7}), 1e-5, 1e-5));
}

TEST(StageLossTest, WithoutPositivesThereIsNoRegressionAndNoNan) {
  const Tensor scores = at::zeros({4}).set_requires_grad(true);
  const StageLoss loss =
      ProposalLoss(scores, at::zeros({4, 76}), at::tensor({0, -1, 0, 0}, at::kLong),
                   at::zeros({4, 7}), {1, 1, 1});
  // Three background points at probability 1/2: 0.75 * 0.25 * ln 2 each, divided by at least 1.
  EXPECT_NEAR(loss.total.item<double>(), 3 * 0.75 * 0.25 * std::log(2.0), 1e-6);
  EXPECT_EQ(loss.positives, 0);
  const StageLoss none = RefinementLoss(scores, at::zeros({4, 46}), at::full({4}, -1, at::kLong),
                                        at::zeros({4}, at::kLong), at::zeros({4, 7}), {1, 1, 1});
  EXPECT_EQ(none.total.item<double>(), 0);
}

TEST(ProposalLayerTest, TheFarGetTheirShare) {
  // Ten distinct boxes near, ten far, the near ones surer.
  std::vector<float> boxes, scores;
  for (int i = 0; i < 20; ++i) {
    const float z = i < 10 ? 10 : 60;
    for (const float value : {static_cast<float>(6 * (i % 10)), 1.f, z, 1.5f, 1.6f, 4.f, 0.f}) {
      boxes.push_back(value);
    }
    scores.push_back(static_cast<float>(20 - i));
  }
  const Tensor rows = at::tensor(boxes).view({20, 7}), ranks = at::tensor(scores);
  const Proposals kept = SelectProposals(rows, ranks, {100, 10, 0.8});
  EXPECT_TRUE(at::equal(kept.scores,
                        at::tensor({20.f, 19.f, 18.f, 17.f, 16.f, 15.f, 14.f, 10.f, 9.f, 8.f})));
  // Without far ones, near ones that rank after the near limit take their share.
  const Proposals near =
      SelectProposals(rows.narrow(0, 0, 10), ranks.narrow(0, 0, 10), {10, 10, 0.8});
  EXPECT_EQ(near.scores.size(0), 10);
  EXPECT_EQ(SelectProposals(rows.narrow(0, 0, 0), ranks.narrow(0, 0, 0), {}).scores.size(0), 0);
}

}  // namespace
}  // namespace backfire::detection
