#include "services/detection/training_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace backfire::detection {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(TrainingFramesTest, AllOfThemAreInOrder) {
  EXPECT_THAT(TrainingFrames(4, 1, 7), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(TrainingFrames(0, 1, 7), IsEmpty());
}

TEST(TrainingFramesTest, APartIsAscendingDistinctAndDrawnByTheSeed) {
  const std::vector<int64_t> frames = TrainingFrames(100, 0.3, 7);
  ASSERT_THAT(frames, SizeIs(30));
  for (size_t i = 1; i < frames.size(); ++i) EXPECT_LT(frames[i - 1], frames[i]);
  EXPECT_GE(frames.front(), 0);
  EXPECT_LT(frames.back(), 100);
  EXPECT_EQ(frames, TrainingFrames(100, 0.3, 7));
  EXPECT_NE(frames, TrainingFrames(100, 0.3, 8));
}

TEST(TrainingFramesTest, EveryFrameIsAsLikelyAsAnyOther) {
  std::vector<int> drawn(10);
  for (int64_t seed = 0; seed < 2000; ++seed) {
    for (const int64_t frame : TrainingFrames(10, 0.3, seed)) ++drawn[static_cast<size_t>(frame)];
  }
  // Binomial, n = 2000, p = 0.3: mean 600, deviation 20.5.
  EXPECT_GT(*std::min_element(drawn.begin(), drawn.end()), 500);
  EXPECT_LT(*std::max_element(drawn.begin(), drawn.end()), 700);
}

TEST(TrainingFramesTest, OneFrameAtLeast) { EXPECT_THAT(TrainingFrames(10, 0.001, 7), SizeIs(1)); }

}  // namespace
}  // namespace backfire::detection
