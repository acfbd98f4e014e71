// The operators that are ours, against LibTorch's own.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "services/disparity/convolution.h"
#include "services/disparity/cost_volume.h"
#include "services/disparity/soft_argmin.h"

namespace backfire::disparity {
namespace {

// Largest difference of two functions' values and of their gradients, for a random cotangent.
template <typename Ours, typename Theirs>
void ExpectSame(const Ours& ours, const Theirs& theirs, std::vector<torch::Tensor> inputs,
                double value_tolerance, double gradient_tolerance) {
  const auto run = [&](const auto& function) {
    std::vector<torch::Tensor> leaves;
    for (const torch::Tensor& input : inputs) leaves.push_back(input.clone().requires_grad_());
    torch::Tensor value = function(leaves);
    torch::manual_seed(7);
    value.backward(torch::randn_like(value));
    std::vector<torch::Tensor> results = {value.detach()};
    for (const torch::Tensor& leaf : leaves) results.push_back(leaf.grad());
    return results;
  };
  const std::vector<torch::Tensor> a = run(ours), b = run(theirs);
  ASSERT_EQ(a[0].sizes(), b[0].sizes());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_LE((a[i] - b[i]).abs().max().item<double>(),
              i == 0 ? value_tolerance : gradient_tolerance)
        << (i == 0 ? "value" : "gradient ") << i;
  }
}

class SoftArgminTest : public ::testing::TestWithParam<std::tuple<bool, int64_t>> {};

TEST_P(SoftArgminTest, IsTheExpectationUnderTheUpsampledSoftmax) {
  const auto [align_corners, scale] = GetParam();
  torch::manual_seed(3);
  // Scores up to +-30, so that softmax is sharp in places.
  const torch::Tensor scores = 10 * torch::randn({2, 6, 5, 7});
  ExpectSame([&, align = align_corners,
              s = scale](const auto& in) { return SoftArgmin(in[0], 6 * s, 5 * s, 7 * s, align); },
             [&, align = align_corners, s = scale](const auto& in) {
               return SoftArgminByOperators(in[0], 6 * s, 5 * s, 7 * s, align);
             },
             {scores}, 2e-4, 1e-3);
}
INSTANTIATE_TEST_SUITE_P(Grids, SoftArgminTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(1, 4, 8)));

TEST(SoftArgminValuesTest, OneCertainPlaneGivesItsDisparity) {
  torch::Tensor scores = torch::zeros({1, 4, 1, 1});
  scores[0][2][0][0] = 1000;
  // Plane 2 of 4 is centred on (2 + 1/2) * 4 - 1/2 = 9.5: between disparities 9 and 10.
  EXPECT_NEAR(SoftArgmin(scores, 16, 4, 4, false)[0][1][1].item<double>(), 9.5, 1e-4);
}

class CostVolumeTest : public ::testing::TestWithParam<CostVolumeKind> {};

TEST_P(CostVolumeTest, PairsEachPixelWithItsShiftedPartner) {
  torch::manual_seed(3);
  for (const int64_t planes : {1, 4, 12}) {  // 12: more than there are columns.
    ExpectSame(
        [&](const auto& in) { return CostVolume(in[0], in[1], planes, GetParam()); },
        [&](const auto& in) { return CostVolumeByOperators(in[0], in[1], planes, GetParam()); },
        {torch::randn({2, 3, 4, 9}), torch::randn({2, 3, 4, 9})}, 0, 1e-5);
  }
}
INSTANTIATE_TEST_SUITE_P(Kinds, CostVolumeTest,
                         ::testing::Values(CostVolumeKind::kConcatenation,
                                           CostVolumeKind::kDifference));

TEST(CostVolumeValuesTest, AsPublishedByHand) {
  const torch::Tensor left = torch::tensor({1.f, 2.f, 3.f}).view({1, 1, 1, 3});
  const torch::Tensor right = torch::tensor({10.f, 20.f, 30.f}).view({1, 1, 1, 3});
  const torch::Tensor volume = CostVolume(left, right, 2, CostVolumeKind::kConcatenation);
  // Channel, plane, column; columns left of the plane's disparity are empty in both halves.
  const torch::Tensor expected = torch::tensor({1.f, 2.f, 3.f, 0.f, 2.f, 3.f,  //
                                                10.f, 20.f, 30.f, 0.f, 10.f, 20.f})
                                     .view({1, 2, 2, 1, 3});
  EXPECT_TRUE(torch::equal(volume, expected)) << volume;
}

TEST(ConvolutionTest, DoublingIsATransposedConvolution) {
  Random random(1);
  ConvolutionOptions options;
  options.dimensions = 3;
  options.in = 4;
  options.out = 6;
  options.doubling = true;
  Convolution convolution(options, random);
  torch::manual_seed(3);
  for (const int64_t batch : {1, 2}) {
    ExpectSame([&](const auto& in) { return convolution->Convolve(in[0], in[1], {}); },
               [&](const auto& in) {
                 return at::conv_transpose3d(in[0], in[1], {}, 2, 1, /*output_padding=*/1);
               },
               {torch::randn({batch, 4, 3, 4, 5}), convolution->weight().detach()}, 1e-5, 1e-4);
  }
}

TEST(ConvBnTest, FoldingInEvaluationChangesNothingThatMatters) {
  Random random(1);
  for (const bool doubling : {false, true}) {
    ConvolutionOptions options;
    options.dimensions = 3;
    options.in = 4;
    options.out = 6;
    options.doubling = doubling;
    ConvBn layer(options, random);
    torch::manual_seed(3);
    const torch::Tensor x = torch::randn({1, 4, 4, 6, 6});
    layer->forward(x, true);  // Moves the running statistics.
    layer->eval();
    const torch::Tensor plain = layer->forward(x, true).detach();
    const torch::InferenceMode no_gradient;
    EXPECT_TRUE(torch::allclose(layer->forward(x, true), plain, 1e-4, 1e-5));
  }
}

}  // namespace
}  // namespace backfire::disparity
