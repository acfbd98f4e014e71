#include "services/detection/pointnet2/point_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "services/base/random.h"
#include "services/detection/pointnet2/plain_point_ops.h"

namespace backfire::pointnet2 {
namespace {

at::Tensor RandomTensor(at::IntArrayRef sizes, uint64_t seed, double scale = 1) {
  Random random(seed);
  at::Tensor tensor = at::empty(sizes, at::kFloat);
  auto* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(scale * random.Uniform(-1, 1));
  }
  return tensor;
}

// The analytic gradient of (f(x) * weights).sum() against central differences.
void ExpectGradient(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x) {
  at::Tensor variable = x.clone().set_requires_grad(true);
  const at::Tensor weights = RandomTensor(f(x).sizes(), 99);
  (f(variable) * weights).sum().backward();
  const at::Tensor gradient = variable.grad();
  auto* values = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); i += 7) {
    const float kept = values[i], step = 1e-2f;
    values[i] = kept + step;
    const double above = (f(x) * weights).sum().item<double>();
    values[i] = kept - step;
    const double below = (f(x) * weights).sum().item<double>();
    values[i] = kept;
    EXPECT_NEAR(gradient.data_ptr<float>()[i], (above - below) / (2 * step), 2e-3)
        << "element " << i;
  }
}

TEST(PointOpsTest, GroupsHoldOffsetsFromTheirCentres) {
  // Two clouds of four points each on a line; centres are 0 and the farthest.
  const at::Tensor xyz = at::zeros({2, 4, 3});
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t i = 0; i < 4; ++i) xyz[c][i][0] = static_cast<double>(i * (c + 1));
  }
  const Sampling sampling = SampleAndGroup(StackClouds(xyz), 2, {{1.5f, 3, false}, {1.5f, 3, true}},
                                           /*in_farthest_order=*/false);
  EXPECT_TRUE(at::equal(sampling.index, at::tensor({0, 3, 4, 7}, at::kLong)));
  const Groups& exact = sampling.groups[0];
  EXPECT_TRUE(at::equal(exact.start, at::tensor({0, 2, 4, 5, 6}, at::kLong)));
  EXPECT_TRUE(at::equal(exact.index, at::tensor({0, 1, 2, 3, 4, 7}, at::kLong)));
  EXPECT_TRUE(at::equal(exact.offset.select(1, 0), at::tensor({0.f, 1.f, -1.f, 0.f, 0.f, 0.f})));
  const Groups& filled = sampling.groups[1];
  EXPECT_TRUE(at::equal(filled.index, at::tensor({0, 1, 0, 2, 3, 2, 4, 4, 4, 7, 7, 7}, at::kLong)));
}

TEST(PointOpsTest, CloudsOfDifferentSizesKeepApart) {
  Clouds clouds;
  clouds.xyz = RandomTensor({1 + 40 + 7, 3}, 3, 2);
  clouds.start = {0, 1, 41, 48};
  const Sampling sampling = SampleAndGroup(clouds, 16, {{1.0f, 8, false}}, false);
  EXPECT_EQ(sampling.centres.start, (std::vector<int64_t>{0, 1, 17, 24}));
  for (int64_t i = 0; i < 3; ++i) {
    const auto at = static_cast<size_t>(i);
    const at::Tensor cloud =
        clouds.xyz.narrow(0, clouds.start[at], clouds.start[at + 1] - clouds.start[at]);
    const int64_t first = sampling.centres.start[at];
    const int64_t count = sampling.centres.start[at + 1] - first;
    const at::Tensor chosen = plain::FarthestPoints(cloud, 16);
    EXPECT_TRUE(at::equal(sampling.index.narrow(0, first, count), chosen + clouds.start[at]));
    const at::Tensor within = plain::WithinRadius(cloud, cloud.index_select(0, chosen), 1.0f, 8);
    const Groups& groups = sampling.groups[0];
    for (int64_t g = 0; g < count; ++g) {
      const auto begin = groups.start[first + g].item<int64_t>();
      const auto size = groups.start[first + g + 1].item<int64_t>() - begin;
      EXPECT_TRUE(at::equal(groups.index.narrow(0, begin, size),
                            within[g].narrow(0, 0, size) + clouds.start[at]));
      EXPECT_TRUE(size == 8 || within[g][size].item<int64_t>() == -1);
    }
  }
}

TEST(PointOpsTest, ThreeNearestAgreesWithLibTorchAndWeighsByDistance) {
  const at::Tensor queries = RandomTensor({1, 300, 3}, 1), known = RandomTensor({1, 50, 3}, 2);
  const Neighbours found = ThreeNearest(StackClouds(queries), StackClouds(known));
  const plain::Nearest expected = plain::ThreeNearest(queries[0], known[0]);
  EXPECT_TRUE(at::equal(found.index, expected.index));
  EXPECT_TRUE(at::equal(found.squared_distance, expected.squared_distance));
  EXPECT_TRUE(at::allclose(found.weight.sum(1), at::ones({300})));

  // At distances 1, 2 and 4 the weights are as 4 : 2 : 1.
  const at::Tensor line =
      at::tensor({1.f, 0.f, 0.f, -2.f, 0.f, 0.f, 4.f, 0.f, 0.f}).view({1, 3, 3});
  const Neighbours three = ThreeNearest(StackClouds(at::zeros({1, 1, 3})), StackClouds(line));
  EXPECT_TRUE(at::allclose(three.weight * 7, at::tensor({4.f, 2.f, 1.f}).view({1, 3})));
  const at::Tensor table = at::tensor({7.f, 14.f, 28.f}).view({3, 1});
  EXPECT_NEAR(Interpolate(table, three).item<double>(), 4 + 4 + 4, 1e-5);

  // With one known point, it is all that counts.
  const Neighbours one =
      ThreeNearest(StackClouds(at::ones({1, 1, 3})), StackClouds(at::zeros({1, 1, 3})));
  EXPECT_TRUE(at::allclose(one.weight, at::tensor({1.f, 0.f, 0.f}).view({1, 3})));
}

TEST(PointOpsTest, GradientsAreThoseOfDifferences) {
  const at::Tensor index = at::tensor({0, 3, 3, 1, 3, 0}, at::kLong);
  ExpectGradient([&](const at::Tensor& x) { return Gather(x, index); }, RandomTensor({5, 21}, 1));
  const Neighbours neighbours = ThreeNearest(StackClouds(RandomTensor({1, 9, 3}, 2)),
                                             StackClouds(RandomTensor({1, 5, 3}, 3)));
  ExpectGradient([&](const at::Tensor& x) { return Interpolate(x, neighbours); },
                 RandomTensor({5, 21}, 4));
  const at::Tensor start = at::tensor({0, 4, 5, 6}, at::kLong);
  ExpectGradient([&](const at::Tensor& x) { return GroupMax(x, start); }, RandomTensor({6, 21}, 5));
}

TEST(PointOpsTest, TheMaximumsGradientGoesToTheFirstOfEquals) {
  const at::Tensor rows =
      at::tensor({1.f, -5.f, 2.f, -5.f, 2.f, -9.f}).view({3, 2}).set_requires_grad(true);
  const at::Tensor largest = GroupMax(rows, at::tensor({0, 3, 3}, at::kLong));
  EXPECT_TRUE(at::equal(largest, at::tensor({2.f, -5.f, 0.f, 0.f}).view({2, 2})))
      << "an empty group is 0";
  largest.sum().backward();
  EXPECT_TRUE(at::equal(rows.grad(), at::tensor({0.f, 1.f, 1.f, 0.f, 0.f, 0.f}).view({3, 2})));
}

TEST(PointOpsTest, GroupMaxAgreesWithLibTorch) {
  const at::Tensor rows = RandomTensor({100, 33}, 6);
  const at::Tensor start = at::tensor({0, 1, 40, 41, 100}, at::kLong);
  EXPECT_TRUE(at::equal(GroupMax(rows, start), plain::GroupMax(rows, start)));
}

TEST(PointOpsTest, AGroupsFirstLayerIsThatOfItsPartsTogether) {
  Groups groups;
  groups.index = at::tensor({2, 0, 2}, at::kLong);
  groups.offset = RandomTensor({3, 3}, 1);
  const at::Tensor table = RandomTensor({3, 20}, 2), weight = RandomTensor({20, 3}, 3);
  const at::Tensor bias = RandomTensor({20}, 4);
  const at::Tensor expected =
      (groups.offset.matmul(weight.t()) + table.index_select(0, groups.index) + bias).relu();
  EXPECT_TRUE(at::allclose(GroupedLayer(table, groups, weight, bias), expected, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(GroupedLayer({}, groups, weight, bias),
                           (groups.offset.matmul(weight.t()) + bias).relu(), 1e-5, 1e-6));
}

TEST(PointOpsTest, TheNumberOfThreadsChangesNoBit) {
  const at::Tensor xyz = RandomTensor({2, 1500, 3}, 1, 5);
  const at::Tensor features = RandomTensor({3000, 19}, 2);
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    const Clouds clouds = StackClouds(xyz);
    const Sampling sampling = SampleAndGroup(clouds, 400, {{0.8f, 16, false}}, false);
    at::Tensor variable = features.clone().set_requires_grad(true);
    const at::Tensor grouped =
        GroupMax(Gather(variable, sampling.groups[0].index), sampling.groups[0].start);
    const at::Tensor back = Interpolate(grouped, ThreeNearest(clouds, sampling.centres));
    (back * back).sum().backward();
    return std::vector<at::Tensor>{sampling.index, sampling.groups[0].index, back.detach(),
                                   variable.grad()};
  };
  const int before = at::get_num_threads();
  const auto one = run(1), three = run(3);
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

}  // namespace
}  // namespace backfire::pointnet2
