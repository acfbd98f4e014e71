#include "services/vision/flips.h"

#include <gmock/gmock.h>

#include "tests/unit/services/vision/frame_objects.h"

namespace backfire::vision {
namespace {

using ::testing::ElementsAre;

TEST(CountErrorsTest, CountsWhatIsMissedAndWhatIsNotThere) {
  FlipRules rules;
  rules.min_score = 0.5;
  // 10 is found, 30 missed; 40 is false; what is unsure counts for nothing.
  const metrics::ImageObjects image = {{At(10), At(30)},
                                       {Found(10, 0.9), Found(40, 0.7), Found(30, 0.4)}};
  FrameErrors errors = CountErrors(image, rules);
  EXPECT_EQ(errors.missed, 1);
  EXPECT_EQ(errors.false_alarms, 1);
  rules.min_score = 0.4;
  errors = CountErrors(image, rules);
  EXPECT_EQ(errors.missed, 0);
  EXPECT_EQ(errors.false_alarms, 1);
  EXPECT_EQ(CountErrors({}, rules).sum(), 0);
}

TEST(CountErrorsTest, FollowsTheRulesOfTheBenchmark) {
  FlipRules rules;
  metrics::Object hidden = At(30);
  hidden.occlusion = 2;
  // A label that is hardly seen is neither missed nor does it make its detection false; nor does a
  // van. Of another class nothing counts. Of two detections of one label one is false.
  EXPECT_EQ(CountErrors({{hidden, At(10, "Van"), At(50, "Pedestrian")},
                         {Found(30, 0.9), Found(10, 0.8), Found(20, 0.7, "Pedestrian")}},
                        rules)
                .sum(),
            0);
  EXPECT_EQ(CountErrors({{At(10)}, {Found(10, 0.9), Found(10, 0.8)}}, rules).false_alarms, 1);
  // Beside it, a third overlaps.
  rules.least_overlap = 0.5;
  EXPECT_EQ(CountErrors({{At(10)}, {Found(10.8, 0.9)}}, rules).sum(), 2);
  rules.least_overlap = 0.2;
  EXPECT_EQ(CountErrors({{At(10)}, {Found(10.8, 0.9)}}, rules).sum(), 0);
}

TEST(CompareFramesTest, TheWorstComeFirst) {
  const std::vector<metrics::Object> label = {At(10)};
  const metrics::ImageObjects right = {label, {Found(10, 0.9)}}, missed = {label, {}},
                              both = {label, {Found(40, 0.9)}};
  std::vector<size_t> worst;
  v1::ClassFlips flips = CompareFrames({{"a", right, right},
                                        {"b", right, missed},
                                        {"c", missed, right},
                                        {"d", right, both},
                                        {"e", right, missed}},
                                       FlipRules(), 2, worst);
  EXPECT_THAT(worst, ElementsAre(3, 1));
  EXPECT_EQ(flips.type(), "Car");
  EXPECT_EQ(flips.frames_worse(), 3);
  EXPECT_EQ(flips.frames_better(), 1);
  EXPECT_EQ(flips.errors_before(), 1);
  EXPECT_EQ(flips.errors_after(), 4);
  ASSERT_EQ(flips.worst_size(), 2);
  EXPECT_EQ(flips.worst(0).example(), "d");
  EXPECT_EQ(flips.worst(0).missed_before(), 0);
  EXPECT_EQ(flips.worst(0).missed_after(), 1);
  EXPECT_EQ(flips.worst(0).false_after(), 1);
  EXPECT_EQ(flips.worst(1).example(), "b");
}

}  // namespace
}  // namespace backfire::vision
