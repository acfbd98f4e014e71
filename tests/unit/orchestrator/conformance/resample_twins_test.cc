#include "orchestrator/conformance/resample_twins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/resampling.h"

namespace backfire::conformance {
namespace {

using ::testing::ElementsAre;

TEST(ResampleTwinsTest, ClustersHaveNumbersAsTheyCome) {
  EXPECT_THAT(NumberClusters({"c", "a", "", "c", "", "b"}), ElementsAre(0, 1, 2, 0, 3, 4));
}

TEST(ResampleTwinsTest, GroupsHoldTheSameClusters) {
  int grouped = 0;
  for (const auto& [counts, resamples] : GroupResamples(7, 200, 3)) {
    grouped += static_cast<int>(resamples.size());
    for (const int b : resamples) EXPECT_EQ(ResampleCounts(7, b, 3), counts);
  }
  EXPECT_EQ(grouped, 200);
  EXPECT_LE(GroupResamples(7, 200, 3).size(), 10u) << "multisets of three of three";
}

TEST(ResampleTwinsTest, SeedsAreFoundThatDrawTheSame) {
  for (const int64_t clusters : {5, 20}) {
    const auto twins = FindTwinSeeds(clusters, 3);
    ASSERT_EQ(twins.size(), 3u) << clusters;
    for (const auto& [a, b] : twins) {
      EXPECT_NE(a, b);
      EXPECT_EQ(ResampleCounts(a, 0, clusters), ResampleCounts(b, 0, clusters));
    }
  }
  EXPECT_TRUE(FindTwinSeeds(1000, 3).empty());
}

}  // namespace
}  // namespace backfire::conformance
