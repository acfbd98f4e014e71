// KITTI's rules one by one, on cases small enough to work out by hand. Numbered as in
// services/metrics/README.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "services/metrics/kitti_evaluation.h"

namespace backfire::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// An object at column `x` of the image and of the ground: columns are far apart in every view. 60
// px high, not occluded.
Object At(const std::string& type, double x, double top = 100, double bottom = 160) {
  Object object;
  object.type = type;
  object.truncation = 0;
  object.occlusion = 0;
  object.alpha = 0.5;
  object.box_2d = {100 * x, top, 100 * x + 80, bottom};
  object.box_3d = {1.5, 1.6, 4, 10 * x, 1.65, 15, 0};
  return object;
}

Object Scored(Object object, double score) {
  object.score = score;
  return object;
}

// Moves the image box right, so that 80 px wide boxes overlap by (80 - d) / (80 + d).
Object Shifted(Object object, double pixels) {
  object.box_2d.left += pixels;
  object.box_2d.right += pixels;
  return object;
}

AveragePrecisionOptions Rules(const std::string& type = "Car", View view = View::kImage,
                              Difficulty difficulty = Difficulty::kModerate) {
  AveragePrecisionOptions options;
  options.type = type;
  options.view = view;
  options.difficulty = difficulty;
  options.iou_threshold = type == "Car" ? 0.7 : 0.5;
  return options;
}

PrecisionRecall Evaluate(const std::vector<ImageObjects>& images,
                         const AveragePrecisionOptions& rules = Rules()) {
  return MatchAll(images, {rules}, 1).front().Compute();
}

TEST(KittiRule2Test, ClassWithoutUsableDetectionIsNotEvaluated) {
  EXPECT_FALSE(Evaluate({{{At("Car", 1)}, {}}}).evaluated);
  EXPECT_FALSE(Evaluate({{{At("Car", 1)}, {Scored(At("Cyclist", 1), 1)}}}).evaluated);
  Object detection = Scored(At("Car", 1), 1);
  detection.box_2d.left = -0.01;
  EXPECT_FALSE(Evaluate({{{At("Car", 1)}, {detection}}}).evaluated);
  EXPECT_TRUE(Evaluate({{{At("Car", 1)}, {detection}}}, Rules("Car", View::k3d)).evaluated);
  detection = Scored(At("Car", 1), 1);
  detection.box_3d.y = -1000;
  EXPECT_TRUE(Evaluate({{{At("Car", 1)}, {detection}}}, Rules("Car", View::kBirdsEye)).evaluated);
  EXPECT_FALSE(Evaluate({{{At("Car", 1)}, {detection}}}, Rules("Car", View::k3d)).evaluated);
  detection.box_3d.width = 0;
  EXPECT_FALSE(Evaluate({{{At("Car", 1)}, {detection}}}, Rules("Car", View::kBirdsEye)).evaluated);
  // Nothing labelled is another matter: evaluated, and 0.
  const PrecisionRecall unlabelled = Evaluate({{{}, {Scored(At("Car", 1), 1)}}});
  EXPECT_TRUE(unlabelled.evaluated);
  EXPECT_EQ(unlabelled.Average(40), 0);
}

TEST(KittiRule4Test, WhichLabelsCount) {
  std::vector<Object> labels;
  for (const double truncation : {0.15, 0.16, 0.30, 0.31, 0.50, 0.51}) {
    labels.push_back(At("Car", 1));
    labels.back().truncation = truncation;
  }
  for (const int occlusion : {0, 1, 2, 3}) {
    labels.push_back(At("Car", 1));
    labels.back().occlusion = occlusion;
  }
  for (const double height : {25.0, 25.5, 40.0, 40.5}) {
    labels.push_back(At("Car", 1, 100, 100 + height));
  }
  const auto count = [&labels](Difficulty difficulty) {
    return Evaluate({{labels, {Scored(At("Car", 9), 1)}}}, Rules("Car", View::kImage, difficulty))
        .label_count;
  };
  EXPECT_EQ(count(Difficulty::kEasy), 1 + 1 + 1);
  EXPECT_EQ(count(Difficulty::kModerate), 3 + 2 + 3);
  EXPECT_EQ(count(Difficulty::kHard), 5 + 3 + 3);
}

TEST(KittiRule4Test, LeastHeightsScaleWithThePicture) {
  const std::vector<Object> labels = {At("Car", 1, 100, 112.5), At("Car", 2, 100, 113),
                                      At("Car", 3, 100, 120.5)};
  AveragePrecisionOptions rules = Rules();
  rules.height_scale = 0.5;
  EXPECT_EQ(Evaluate({{labels, {Scored(At("Car", 9), 1)}}}, rules).label_count, 2);
  rules.difficulty = Difficulty::kEasy;
  EXPECT_EQ(Evaluate({{labels, {Scored(At("Car", 9), 1)}}}, rules).label_count, 1);
  // A detection of 13 px that matches nothing is an alarm at half the height, and small at the
  // whole.
  const std::vector<Object> detections = {Scored(At("Car", 1, 100, 160), 0.9),
                                          Scored(At("Car", 2, 100, 113), 0.95)};
  rules.difficulty = Difficulty::kModerate;
  EXPECT_THAT(Evaluate({{{At("Car", 1)}, detections}}, rules).false_positives, ElementsAre(1));
  EXPECT_THAT(Evaluate({{{At("Car", 1)}, detections}}).false_positives, ElementsAre(0));
}

TEST(KittiRule4Test, NeighboursAndDifficultLabelsAreNeitherHitNorMiss) {
  Object occluded = At("Car", 3);
  occluded.occlusion = 3;
  const PrecisionRecall result =
      Evaluate({{{At("Car", 1), At("Van", 2), occluded, At("Truck", 4)},
                 {Scored(At("Car", 1), 0.1), Scored(At("Car", 2), 0.9), Scored(At("Car", 3), 0.8),
                  Scored(At("Car", 4), 0.7), Scored(At("Van", 2), 0.6)}}});
  EXPECT_EQ(result.label_count, 1);
  EXPECT_THAT(result.thresholds, ElementsAre(0.1));
  EXPECT_THAT(result.hits, ElementsAre(1));
  EXPECT_THAT(result.false_positives, ElementsAre(1));  // On the truck.
  EXPECT_THAT(result.misses, ElementsAre(0));
  const PrecisionRecall sitting =
      Evaluate({{{At("Pedestrian", 1), At("Person_sitting", 2)},
                 {Scored(At("Pedestrian", 1), 0.1), Scored(At("Pedestrian", 2), 0.9)}}},
               Rules("Pedestrian"));
  EXPECT_THAT(sitting.false_positives, ElementsAre(0));
}

TEST(KittiRule5Test, SmallDetectionsOfAnyClassUseUpLabels) {
  // A label of 26 px that a Cyclist box of 24 px covers: 24/26 > 0.7.
  const Object label = At("Car", 1, 100, 126);
  const Object small = Scored(At("Cyclist", 1, 101, 125), 0.9);
  const std::vector<Object> others = {Scored(At("Car", 2), 0.5)};
  const PrecisionRecall result = Evaluate({{{label, At("Car", 2)}, {small, others[0]}}});
  EXPECT_EQ(result.label_count, 2);
  EXPECT_THAT(result.hits, ElementsAre(1));
  EXPECT_THAT(result.misses, ElementsAre(0));  // Matched, though by nothing that counts.
  EXPECT_THAT(result.false_positives, ElementsAre(0));
  // 25 px is not small; upside down is as high.
  const Object normal = Scored(At("Car", 1, 126, 101), 0.9);
  const PrecisionRecall upside_down = Evaluate({{{At("Car", 2)}, {normal, others[0]}}});
  EXPECT_THAT(upside_down.false_positives, ElementsAre(1));
  EXPECT_THAT(Evaluate({{{At("Car", 2)}, {Scored(At("Car", 1, 126, 102), 0.9), others[0]}}})
                  .false_positives,
              ElementsAre(0));
}

TEST(KittiRule6Test, OverlapMustExceedTheThreshold) {
  const auto hits = [](const Object& detection) {
    const PrecisionRecall result = Evaluate({{{At("Car", 1)}, {detection}}});
    return result.hits.empty() ? 0 : result.hits.front();
  };
  Object narrower = Scored(At("Car", 1), 1);
  narrower.box_2d.right -= 24;  // 56 of 80: exactly 0.7.
  EXPECT_EQ(hits(narrower), 0);
  narrower.box_2d.right += 0.1;
  EXPECT_EQ(hits(narrower), 1);
}

TEST(KittiRule7And9Test, ScoreChoosesThresholdsOverlapChoosesMatches) {
  // One car, found twice: surely but badly, and well but unsurely.
  const PrecisionRecall result =
      Evaluate({{{At("Car", 1)},
                 {Scored(Shifted(At("Car", 1), 10), 0.9), Scored(Shifted(At("Car", 1), 1), 0.4)}},
                {{At("Car", 1)}, {Scored(At("Car", 1), 0.3)}}});
  EXPECT_THAT(result.thresholds, ElementsAre(0.9, 0.3));
  EXPECT_THAT(result.hits, ElementsAre(1, 2));
  EXPECT_THAT(result.false_positives, ElementsAre(0, 1));
  EXPECT_THAT(result.misses, ElementsAre(1, 0));
}

TEST(KittiRule7Test, ScoresOfMinusTenMillionMakeNoThreshold) {
  const PrecisionRecall result = Evaluate(
      {{{At("Car", 1), At("Car", 2)}, {Scored(At("Car", 1), -1e7), Scored(At("Car", 2), -2e6)}}});
  EXPECT_THAT(result.thresholds, ElementsAre(-2e6));
}

TEST(KittiRule9Test, EarlierLabelsChooseFirst) {
  // `between` suits both labels, `beyond` only the first, which takes `between` all the same.
  const Object first = At("Car", 1), second = Shifted(At("Car", 1), 8);
  const Object between = Scored(Shifted(At("Car", 1), 2), 0.8);  // 78/82 and 74/86.
  const Object beyond = Scored(Shifted(At("Car", 1), -8), 0.9);  // 72/88 and 64/96: below 0.7.
  const PrecisionRecall result = Evaluate({{{first, second}, {between, beyond}}});
  // Pass one goes by score, and finds both; pass two by overlap, and misses the second.
  EXPECT_THAT(result.thresholds, ElementsAre(0.9, 0.8));
  EXPECT_THAT(result.hits, ElementsAre(1, 1));
  EXPECT_THAT(result.misses, ElementsAre(1, 1));
  EXPECT_THAT(result.false_positives, ElementsAre(0, 1));
  EXPECT_THAT(Evaluate({{{second, first}, {between, beyond}}}).hits, ElementsAre(1, 2));
}

TEST(KittiRule9Test, NormalBeforeSmall) {
  const Object label = At("Car", 1, 100, 126);
  const Object small = Scored(At("Car", 1, 101, 125), 0.9);   // Overlap 24/26.
  const Object normal = Scored(At("Car", 1, 104, 130), 0.8);  // 22/30: above 0.7, and less.
  const PrecisionRecall result = Evaluate(
      {{{label, At("Car", 2)}, {small, normal}}, {{At("Car", 3)}, {Scored(At("Car", 3), 0.1)}}});
  // Pass one gives the label the surer, small one: 0.8 is no threshold. Pass two prefers the other.
  EXPECT_THAT(result.thresholds, ElementsAre(0.1));
  EXPECT_THAT(result.hits, ElementsAre(2));
  EXPECT_THAT(result.false_positives, ElementsAre(0));
}

TEST(KittiRule10Test, DontCareForgivesByThePartOfTheDetection) {
  Object area = At("DontCare", 5);
  area.box_2d.right = area.box_2d.left + 57;  // 57 of a detection's 80 px: 0.7125.
  area.box_3d = {-1, -1, -1, -1000, -1000, -1000, -10};
  const std::vector<Object> found = {Scored(At("Car", 1), 0.5), Scored(At("Car", 5), 0.9)};
  EXPECT_THAT(Evaluate({{{At("Car", 1), area}, found}}).false_positives, ElementsAre(0));
  EXPECT_THAT(Evaluate({{{At("Car", 1), area, area}, found}}).false_positives, ElementsAre(0));
  for (const View view : {View::kBirdsEye, View::k3d}) {
    EXPECT_THAT(Evaluate({{{At("Car", 1), area}, found}}, Rules("Car", view)).false_positives,
                ElementsAre(1));
  }
  area.box_2d.right = area.box_2d.left + 56;  // 0.7 itself forgives nothing.
  EXPECT_THAT(Evaluate({{{At("Car", 1), area}, found}}).false_positives, ElementsAre(1));
  // An area that has a 3D box is respected: it covers all of the detection, and is much larger.
  area.box_3d = {3, 20, 20, 50, 2, 15, 0.3};
  for (const View view : {View::kBirdsEye, View::k3d}) {
    EXPECT_THAT(Evaluate({{{At("Car", 1), area}, found}}, Rules("Car", view)).false_positives,
                ElementsAre(0));
  }
}

TEST(KittiRule10Test, PlaceholderBoxesMeetInBirdsEyeView) {
  // A detection without a 3D box lies on a DontCare area's placeholder, both 1 x 1 at -1000; their
  // heights don't meet.
  Object area = At("DontCare", 5), flat = Scored(At("Car", 7), 0.9);
  area.box_3d = flat.box_3d = {-1, -1, -1, -1000, -1000, -1000, -10};
  const std::vector<ImageObjects> images = {
      {{At("Car", 1), area}, {Scored(At("Car", 1), 0.5), flat}}};
  EXPECT_THAT(Evaluate(images, Rules("Car", View::kBirdsEye)).false_positives, ElementsAre(0));
  EXPECT_THAT(Evaluate(images, Rules("Car", View::k3d)).false_positives, ElementsAre(1));
}

TEST(KittiRule11Test, PrecisionStandsAtTheThresholdsIndex) {
  // Ranks: wrong, right, wrong, right: 1/2 and 2/4; then the largest from the right.
  const PrecisionRecall result =
      Evaluate({{{At("Car", 1), At("Car", 2), At("Car", 3)},
                 {Scored(At("Car", 8), 0.9), Scored(At("Car", 1), 0.8), Scored(At("Car", 9), 0.7),
                  Scored(At("Car", 2), 0.6), Scored(At("Car", 3), 0.5)}}});
  EXPECT_THAT(result.thresholds, ElementsAre(0.8, 0.6, 0.5));
  EXPECT_DOUBLE_EQ(result.precision[0], 0.6);  // 1/2, 2/4, 3/5.
  EXPECT_DOUBLE_EQ(result.precision[1], 0.6);
  EXPECT_DOUBLE_EQ(result.precision[2], 0.6);
  EXPECT_EQ(result.precision[3], 0);
  EXPECT_DOUBLE_EQ(result.Average(11), 100 * 0.6 / 11);
  EXPECT_DOUBLE_EQ(result.Average(40), 100 * (0.6 + 0.6) / 40);
}

TEST(KittiRule11Test, NothingAtAThresholdIsZero) {
  // Van and car overlap. Pass one: the van takes the surer, small one, and the car the other, a
  // threshold. Pass two: the van prefers the normal one, and the car is left the small one.
  const Object van = At("Van", 1, 100, 127), car = At("Car", 1, 100, 126);
  const Object small = Scored(At("Car", 1, 101, 125), 0.9);
  const Object normal = Scored(At("Car", 1, 100, 127), 0.8);
  const PrecisionRecall result = Evaluate({{{van, car}, {small, normal}}});
  EXPECT_THAT(result.thresholds, ElementsAre(0.8));
  EXPECT_THAT(result.hits, ElementsAre(0));
  EXPECT_THAT(result.false_positives, ElementsAre(0));
  EXPECT_EQ(result.precision[0], 0);
  EXPECT_EQ(result.Average(11), 0);
  EXPECT_EQ(result.AverageSimilarity(11), 0);
}

TEST(KittiRule12Test, OrientationIsWeighedByTheCosine) {
  std::vector<Object> labels, detections;
  for (const double error : {0.0, M_PI / 2, M_PI, 2 * M_PI}) {
    const double x = static_cast<double>(labels.size());
    labels.push_back(At("Car", x));
    detections.push_back(Scored(At("Car", x), 0.5));
    detections.back().alpha += error;
  }
  detections.push_back(Scored(At("Car", 9), 0.9));
  const PrecisionRecall result = Evaluate({{labels, detections}});
  ASSERT_TRUE(result.oriented);
  // 1 + 1/2 + 0 + 1, of four hits and one false positive.
  EXPECT_NEAR(result.similarity[0], 2.5 / 5, 1e-12);
  EXPECT_NEAR(result.precision[0], 4.0 / 5, 1e-12);
  detections.push_back(Scored(At("Tram", 8), 0));
  detections.back().alpha = -10;
  EXPECT_FALSE(Evaluate({{labels, detections}}).oriented);
  EXPECT_FALSE(Evaluate({{labels, detections}}, Rules("Car", View::k3d)).oriented);
}

TEST(KittiThresholdsTest, ScoresAreSkippedBetweenRecalls) {
  // 80 labels, all found: every second score comes nearest to a multiple of 1/40, from 1/80 on.
  std::vector<ImageObjects> images(80);
  for (int i = 0; i < 80; ++i) {
    images[i] = {{At("Car", 1)}, {Scored(At("Car", 1), 1 - i / 100.0)}};
  }
  const PrecisionRecall result = Evaluate(images);
  ASSERT_EQ(result.thresholds.size(), 41);
  EXPECT_EQ(result.hits.front(), 1);
  EXPECT_EQ(result.hits.back(), 80);
  EXPECT_NEAR(result.Average(40), 100, 1e-12);
  EXPECT_THAT(Evaluate({{{At("Car", 1)}, {Scored(At("Car", 5), 1)}}}).thresholds, IsEmpty());
}

}  // namespace
}  // namespace backfire::metrics
