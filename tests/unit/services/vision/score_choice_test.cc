#include "services/vision/score_choice.h"

#include <gtest/gtest.h>

#include "tests/unit/services/vision/frame_objects.h"

namespace backfire::vision {
namespace {

TEST(ScoreChoiceTest, WeighsWhatIsFoundAgainstWhatIsNotThere) {
  // Surest first: right, right, wrong, right, wrong. Of 4 labels: F1 2/5, 4/6, 4/7, 6/8, 6/9.
  const std::vector<JudgedFrame> frames = {
      {{Found(10, 0.9), Found(40, 0.7), Found(30, 0.6)}, {At(10), At(30)}},
      {{Found(20, 0.8), Found(50, 0.5)}, {At(20), At(60)}}};
  const ScoreChoice choice = ChooseScore(frames);
  EXPECT_DOUBLE_EQ(choice.score, 0.6);
  EXPECT_DOUBLE_EQ(choice.f1, 0.75);
  EXPECT_EQ(choice.frames, 2);
}

TEST(ScoreChoiceTest, ALabelIsFoundOnceByTheSurest) {
  // The second is a duplicate: F1 2/2, then 2/3.
  const ScoreChoice choice = ChooseScore({{{Found(10.2, 0.4), Found(10, 0.8)}, {At(10)}}});
  EXPECT_DOUBLE_EQ(choice.score, 0.8);
  EXPECT_DOUBLE_EQ(choice.f1, 1);
}

TEST(ScoreChoiceTest, TypesMustAgreeAndOthersDoNotCount) {
  const ScoreChoice choice = ChooseScore(
      {{{Found(10, 0.9, "Pedestrian"), Found(20, 0.3)}, {At(10), At(20), At(30, "Cyclist")}}});
  // Wrong, right: of two labels F1 is 0, then 2/4.
  EXPECT_DOUBLE_EQ(choice.score, 0.3);
  EXPECT_DOUBLE_EQ(choice.f1, 0.5);
}

TEST(ScoreChoiceTest, LabelsThatAreHardlySeenAreNotMissed) {
  metrics::Object hidden = At(30), small = At(40);
  hidden.occlusion = 2;
  small.box_2d.bottom = small.box_2d.top + 20;
  EXPECT_DOUBLE_EQ(ChooseScore({{{Found(10, 0.9)}, {At(10), hidden, small}}}).f1, 1);
}

TEST(ScoreChoiceTest, EqualScoresAreShownTogether) {
  const ScoreChoice choice = ChooseScore({{{Found(10, 0.5), Found(90, 0.5)}, {At(10)}}});
  EXPECT_DOUBLE_EQ(choice.score, 0.5);
  EXPECT_DOUBLE_EQ(choice.f1, 2.0 / 3);
}

TEST(ScoreChoiceTest, WithNothingRightEverythingIsShown) {
  EXPECT_EQ(ChooseScore({}).score, 0);
  EXPECT_EQ(ChooseScore({{{Found(10, 0.9)}, {At(80)}}}).score, 0);
}

}  // namespace
}  // namespace backfire::vision
