#include "services/metrics/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace backfire::metrics {
namespace {

using ::testing::ElementsAre;

// Expected draws were computed from the contract with exact integers, outside this program.
TEST(ResampleCountsTest, MatchesTheContractBitForBit) {
  EXPECT_THAT(ResampleCounts(0, 0, 5), ElementsAre(1, 1, 1, 1, 1));           // 3 0 2 4 1
  EXPECT_THAT(ResampleCounts(7, 3, 8), ElementsAre(1, 1, 2, 1, 0, 0, 3, 0));  // 0 6 2 6 1 2 6 3
  // seed + b is modulo 2^64: seed 2^64 - 1 with b = 1 is seed 0 with b = 0: draws 2 0 2 3.
  EXPECT_THAT(ResampleCounts(~uint64_t{0}, 1, 4), ElementsAre(1, 0, 2, 1));
  EXPECT_THAT(ResampleCounts(0, 0, 4), ElementsAre(1, 0, 2, 1));
}

TEST(ResampleCountsTest, DrawsAsManyAsThereAre) {
  for (int64_t b = 0; b < 50; ++b) {
    const auto counts = ResampleCounts(11, b, 120);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 120);
  }
  EXPECT_TRUE(ResampleCounts(11, 0, 0).empty());
}

v1::Bootstrap Seeded(uint64_t seed, int32_t resample_count) {
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(seed);
  bootstrap.set_resample_count(resample_count);
  return bootstrap;
}

TEST(ResamplingTest, DrawsClustersWithAllTheirExamples) {
  // Five clusters, as they come: b, a, one without a name, c, another without.
  const Resampling resampling(Seeded(7, 9), {"b", "a", "b", "", "a", "c", "", "b"});
  EXPECT_EQ(resampling.example_count(), 8);
  EXPECT_EQ(resampling.cluster_count(), 5);
  for (int32_t r = 0; r < 9; ++r) {
    const std::vector<int32_t> drawn = ResampleCounts(7, r, 5);
    EXPECT_THAT(resampling.Counts(r), ElementsAre(drawn[0], drawn[1], drawn[0], drawn[2], drawn[1],
                                                  drawn[3], drawn[4], drawn[0]));
  }
}

TEST(ResamplingTest, ClustersOfOneAreExamples) {
  const Resampling named(Seeded(3, 5), {"a", "b", "c", "d"}), unnamed(Seeded(3, 5), 4);
  const Resampling empty(Seeded(3, 5), {"", "", "", ""});
  for (int32_t r = 0; r < 5; ++r) {
    EXPECT_EQ(named.Counts(r), ResampleCounts(3, r, 4));
    EXPECT_EQ(unnamed.Counts(r), ResampleCounts(3, r, 4));
    EXPECT_EQ(empty.Counts(r), ResampleCounts(3, r, 4));
  }
  EXPECT_EQ(named.cluster_count(), 4);
  EXPECT_EQ(unnamed.cluster_count(), 0);
  EXPECT_EQ(empty.cluster_count(), 0);
}

TEST(ResamplingTest, CountsWhatBearsUponALoss) {
  const Resampling resampling(Seeded(0, 0), {"a", "a", "a", "b", "b", "c", "d", "a"});
  v1::LossEstimate estimate;
  resampling.SetCounts({true, true, true, true, false, true, false, false}, estimate);
  EXPECT_EQ(estimate.example_count(), 5);
  EXPECT_EQ(estimate.cluster_count(), 3);
  // Of three, one and one: (9 + 1 + 1)^2 / (81 + 1 + 1).
  EXPECT_DOUBLE_EQ(estimate.effective_cluster_count(), 121.0 / 83);
}

TEST(AddRatioLossTest, PointAndResamples) {
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(7);
  bootstrap.set_resample_count(4);
  const std::vector<double> numerators = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<double> denominators(8, 2);
  v1::Evaluation evaluation;
  AddRatioLoss(numerators, denominators, Resampling(bootstrap, 8), "disparity_mae", "", true,
               evaluation);
  ASSERT_EQ(evaluation.losses_size(), 1);
  const v1::LossEstimate& loss = evaluation.losses(0);
  EXPECT_EQ(loss.loss(), "disparity_mae");
  EXPECT_EQ(loss.slice(), "");
  EXPECT_TRUE(loss.judged());
  EXPECT_DOUBLE_EQ(loss.value(), 36.0 / 16.0);
  EXPECT_EQ(loss.example_count(), 8);
  EXPECT_EQ(loss.cluster_count(), 0);
  EXPECT_EQ(loss.effective_cluster_count(), 0);
  ASSERT_EQ(loss.resampled_size(), 4);
  // Resample 3 of seed 7 is (0 6 2 6 1 2 6 3): 1 + 7 + 3 + 7 + 2 + 3 + 7 + 4 = 34.
  EXPECT_DOUBLE_EQ(loss.resampled(3), 34.0 / 16.0);
}

TEST(AddRatioLossTest, CountsTheExamplesThatBearUponIt) {
  v1::Evaluation evaluation;
  AddRatioLoss({1, 0, 2, 0}, {3, 0, 1, 2}, Resampling(v1::Bootstrap(), 4), "mae", "depth_0_20_m",
               false, evaluation);
  EXPECT_EQ(evaluation.losses(0).example_count(), 3);
}

TEST(AddRatioLossTest, EmptySliceIsUndefined) {
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(2);
  v1::Evaluation evaluation;
  const Resampling resampling(bootstrap, {"a", "b"});
  AddRatioLoss({0, 0}, {0, 0}, resampling, "mae", "depth_40_max_m", false, evaluation);
  EXPECT_TRUE(std::isnan(evaluation.losses(0).value()));
  EXPECT_TRUE(std::isnan(evaluation.losses(0).resampled(1)));
  EXPECT_EQ(evaluation.losses(0).cluster_count(), 0);
  EXPECT_EQ(evaluation.losses(0).effective_cluster_count(), 0);
}

}  // namespace
}  // namespace backfire::metrics
