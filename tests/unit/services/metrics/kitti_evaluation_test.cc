#include "services/metrics/kitti_evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

namespace backfire::metrics {
namespace {

// Random frames of cars, pedestrians and what looks like them, near each other so that matches
// compete. No two scores are equal: order decides nothing.
std::vector<ImageObjects> RandomFrames(uint64_t seed, int count) {
  Random random(seed);
  const auto pick = [&random](std::initializer_list<const char*> names) {
    return std::string(names.begin()[random.Below(static_cast<int64_t>(names.size()))]);
  };
  std::vector<ImageObjects> frames(static_cast<size_t>(count));
  for (ImageObjects& frame : frames) {
    for (int64_t i = random.Below(7); i >= 0; --i) {
      Object label;
      label.type = pick({"Car", "Car", "Car", "Van", "Pedestrian", "Pedestrian", "Person_sitting",
                         "Cyclist", "DontCare"});
      const bool car = label.type == "Car" || label.type == "Van";
      label.truncation = random.Below(5) == 0 ? 0.4 : 0.0;
      label.occlusion = static_cast<int>(random.Below(4));
      label.alpha = random.Uniform(-3, 3);
      const double left = random.Uniform(0, 300), height = random.Uniform(20, 120);
      label.box_2d = {left, 150 - height, left + height * (car ? 1.6 : 0.5), 150};
      label.box_3d = {1.6, car ? 1.7 : 0.6,       car ? 4 : 0.8,        random.Uniform(-5, 5),
                      1.7, random.Uniform(5, 45), random.Uniform(-3, 3)};
      frame.labels.push_back(label);
      for (int64_t copy = random.Below(3); copy > 0; --copy) {
        Object detection = label;
        if (detection.type == "Van" || detection.type == "DontCare") detection.type = "Car";
        if (detection.type == "Person_sitting") detection.type = "Pedestrian";
        detection.box_2d.left += random.Normal() * 3;
        detection.box_2d.right += random.Normal() * 3;
        detection.box_3d.x += 0.05 * random.Normal();
        detection.box_3d.z += 0.15 * random.Normal();
        detection.alpha += 0.3 * random.Normal();
        detection.score = random.Normal();
        frame.detections.push_back(detection);
      }
    }
  }
  return frames;
}

void ExpectSame(const PrecisionRecall& a, const PrecisionRecall& b) {
  EXPECT_EQ(a.evaluated, b.evaluated);
  EXPECT_EQ(a.oriented, b.oriented);
  EXPECT_EQ(a.label_count, b.label_count);
  EXPECT_EQ(a.thresholds, b.thresholds);
  EXPECT_EQ(a.hits, b.hits);
  EXPECT_EQ(a.false_positives, b.false_positives);
  EXPECT_EQ(a.misses, b.misses);
  EXPECT_EQ(a.precision, b.precision);
  for (size_t k = 0; k < a.similarity.size(); ++k) {
    EXPECT_NEAR(a.similarity[k], b.similarity[k], 1e-12);
  }
}

std::vector<PrecisionRecall> Evaluate(const std::vector<ImageObjects>& frames,
                                      const std::vector<AveragePrecisionOptions>& rules,
                                      int threads = 1) {
  std::vector<PrecisionRecall> results;
  for (const MatchPool& pool : MatchAll(frames, rules, threads)) results.push_back(pool.Compute());
  return results;
}

TEST(KittiEvaluationTest, ThreadsChangeNothing) {
  const auto frames = RandomFrames(1, 300);
  const auto rules = KittiRules(KittiClasses());
  ASSERT_EQ(rules.size(), 27);
  const auto one = Evaluate(frames, rules, 1), four = Evaluate(frames, rules, 4);
  for (size_t r = 0; r < rules.size(); ++r) {
    ExpectSame(one[r], four[r]);
    EXPECT_EQ(one[r].similarity, four[r].similarity);  // Bit for bit.
  }
  const auto pools = MatchAll(frames, rules, 1);
  const auto a = BootstrapAverages(pools, 7, 20, 1), b = BootstrapAverages(pools, 7, 20, 3);
  for (size_t r = 0; r < rules.size(); ++r) {
    for (size_t i = 0; i < 20; ++i) EXPECT_EQ(a[r][i].ap40, b[r][i].ap40);
  }
}

TEST(KittiEvaluationTest, OrderOfFramesAndDetectionsChangesNothing) {
  auto frames = RandomFrames(2, 200);
  const auto rules = KittiRules(KittiClasses());
  const auto before = Evaluate(frames, rules);
  Random random(3);
  const auto shuffle = [&random](auto& items) {
    for (size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[random.Below(static_cast<int64_t>(i))]);
    }
  };
  shuffle(frames);
  // Scores and overlaps differ, so that no tie is left to order. (Small detections are taken first
  // come, first served: leave frames with two of them alone.)
  for (ImageObjects& frame : frames) {
    const auto small =
        std::count_if(frame.detections.begin(), frame.detections.end(),
                      [](const Object& detection) { return detection.box_2d.height() < 40; });
    if (small < 2) shuffle(frame.detections);
  }
  const auto after = Evaluate(frames, rules);
  int with_hits = 0;
  for (size_t r = 0; r < rules.size(); ++r) {
    ExpectSame(before[r], after[r]);
    with_hits += before[r].thresholds.size() > 10;
  }
  EXPECT_GT(with_hits, 15);  // The property was put to the test.
}

TEST(KittiEvaluationTest, OrderOfLabelsChangesNothingButForCompetition) {
  auto frames = RandomFrames(4, 200);
  // Apart from each other, no detection is claimed by two labels.
  for (ImageObjects& frame : frames) {
    for (size_t i = 0; i < frame.labels.size(); ++i) frame.labels[i].box_3d.y += 100.0 * i;
    frame.detections.clear();
    for (const Object& label : frame.labels) {
      if (label.type == "DontCare") continue;
      frame.detections.push_back(label);
      frame.detections.back().score = label.alpha;
      frame.detections.back().box_3d.x += 0.02;
    }
  }
  auto rules = KittiRules(KittiClasses());
  rules.erase(std::remove_if(rules.begin(), rules.end(),
                             [](const auto& one) { return one.view != View::k3d; }),
              rules.end());
  const auto before = Evaluate(frames, rules);
  for (ImageObjects& frame : frames) std::reverse(frame.labels.begin(), frame.labels.end());
  const auto after = Evaluate(frames, rules);
  for (size_t r = 0; r < rules.size(); ++r) ExpectSame(before[r], after[r]);
}

TEST(KittiEvaluationTest, CaseOfClassNamesChangesNothing) {
  auto frames = RandomFrames(5, 60);
  const auto rules = KittiRules(KittiClasses());
  const auto before = Evaluate(frames, rules);
  for (ImageObjects& frame : frames) {
    for (std::vector<Object>* objects : {&frame.labels, &frame.detections}) {
      for (Object& object : *objects) {
        for (char& c : object.type) c = static_cast<char>(std::toupper(c));
      }
    }
  }
  const auto after = Evaluate(frames, rules);
  for (size_t r = 0; r < rules.size(); ++r) ExpectSame(before[r], after[r]);
}

// A resample's metric is what evaluating the files, repeated, says: every array of every cell.
TEST(KittiEvaluationTest, ResampleEqualsRepeatedFrames) {
  const auto frames = RandomFrames(6, 40);
  const auto rules = KittiRules(KittiClasses());
  const auto pools = MatchAll(frames, rules, 1);
  const auto averages = BootstrapAverages(pools, /*seed=*/3, 10, 2);
  for (int64_t b = 0; b < 10; ++b) {
    const std::vector<int32_t> counts = ResampleCounts(3, b, 40);
    std::vector<ImageObjects> repeated;
    for (size_t i = 0; i < frames.size(); ++i)
      repeated.insert(repeated.end(), counts[i], frames[i]);
    const auto direct = Evaluate(repeated, rules);
    for (size_t r = 0; r < rules.size(); ++r) {
      ExpectSame(pools[r].Compute(counts), direct[r]);
      EXPECT_EQ(averages[r][b].ap40, direct[r].Average(40));
      EXPECT_EQ(averages[r][b].ap11, direct[r].Average(11));
    }
  }
}

TEST(KittiEvaluationTest, OrientationIsOffWhereAnyDetectionHasNone) {
  auto frames = RandomFrames(7, 10);
  frames[4].detections.push_back(frames[4].labels.front());
  frames[4].detections.back().type = "Tram";
  frames[4].detections.back().alpha = -10;
  frames[4].detections.back().score = 0;
  const auto pools = MatchAll(frames, {KittiRules(KittiClasses())[0]}, 1);
  EXPECT_FALSE(pools[0].Compute().oriented);
  EXPECT_TRUE(std::isnan(pools[0].Compute().AverageSimilarity(40)));
  std::vector<int32_t> without(10, 1);
  without[4] = 0;
  EXPECT_TRUE(pools[0].Compute(without).oriented);
}

// What must be monotone: a wrong detection never raises AP, and finding more never lowers it.
TEST(KittiEvaluationTest, AveragePrecisionIsMonotone) {
  const auto rules = KittiRules(KittiClasses());
  for (uint64_t seed = 10; seed < 30; ++seed) {
    auto frames = RandomFrames(seed, 60);
    const auto before = Evaluate(frames, rules);
    auto worse = frames;
    for (ImageObjects& frame : worse) {
      Object wrong;
      wrong.type = "Car";
      wrong.alpha = 0;
      wrong.box_2d = {2000, 0, 2100, 100};
      wrong.box_3d = {1.5, 1.6, 4, 500, 1.7, 500, 0};
      wrong.score = 0.1;
      frame.detections.push_back(wrong);
    }
    const auto with_wrong = Evaluate(worse, rules);
    for (size_t r = 0; r < 9; ++r) {
      EXPECT_LE(with_wrong[r].Average(40), before[r].Average(40));
      EXPECT_LE(with_wrong[r].Average(11), before[r].Average(11));
    }
    // Labels far away from everything, found exactly and with the highest scores.
    auto better = frames;
    for (ImageObjects& frame : better) {
      Object found;
      found.type = "Car";
      found.truncation = 0;
      found.occlusion = 0;
      found.alpha = 0;
      found.box_2d = {2000, 0, 2100, 100};
      found.box_3d = {1.5, 1.6, 4, 500, 1.7, 500, 0};
      frame.labels.push_back(found);
      found.score = 100;
      frame.detections.push_back(found);
    }
    const auto with_found = Evaluate(better, rules);
    for (size_t r = 0; r < 9; ++r) {
      EXPECT_GE(with_found[r].Average(40), before[r].Average(40));
    }
  }
}

TEST(KittiEvaluationTest, ScoresMatterByOrderOnly) {
  auto frames = RandomFrames(8, 100);
  const auto rules = KittiRules(KittiClasses());
  const auto before = Evaluate(frames, rules);
  for (ImageObjects& frame : frames) {
    for (Object& detection : frame.detections) detection.score = std::exp(*detection.score);
  }
  const auto after = Evaluate(frames, rules);
  for (size_t r = 0; r < rules.size(); ++r) {
    EXPECT_EQ(before[r].precision, after[r].precision);
    EXPECT_EQ(before[r].hits, after[r].hits);
  }
}

// 60 pedestrians at 10 m and 60 at 30 m; the near ones are found, and so is one that is none, far.
std::vector<ImageObjects> NearAndFar() {
  std::vector<ImageObjects> frames(60);
  for (int i = 0; i < 60; ++i) {
    Object near;
    near.type = "Pedestrian";
    near.truncation = 0;
    near.occlusion = 0;
    near.alpha = 0;
    near.box_2d = {100, 50, 140, 150};
    near.box_3d = {1.7, 0.6, 0.8, 0, 1.7, 10, 0};
    Object far = near;
    far.box_2d = {300, 50, 340, 90};
    far.box_3d.z = 30;
    frames[i].labels = {near, far};
    near.score = 1 - i / 100.0;
    frames[i].detections = {near};
    Object wrong = far;
    wrong.box_2d = {500, 50, 540, 150};
    wrong.box_3d.x = 20;
    wrong.score = 2;
    frames[i].detections.push_back(wrong);
  }
  return frames;
}

AveragePrecisionOptions Pedestrians() {
  AveragePrecisionOptions options;
  options.type = "Pedestrian";
  options.iou_threshold = 0.5;
  return options;
}

TEST(RangeModeTest, BothModesLeaveTheFarOut) {
  AveragePrecisionOptions options = Pedestrians();
  // Uncapped: half of the labels are missed, and half of the detections wrong.
  EXPECT_EQ(Evaluate(NearAndFar(), {options})[0].label_count, 120);
  options.max_depth_m = 20;
  for (const RangeMode mode : {RangeMode::kIgnore, RangeMode::kDrop}) {
    options.range_mode = mode;
    const PrecisionRecall result = Evaluate(NearAndFar(), {options})[0];
    EXPECT_EQ(result.label_count, 60);
    EXPECT_NEAR(result.Average(40), 100, 1e-9);
    EXPECT_NEAR(result.Average(11), 100, 1e-9);
  }
}

TEST(RangeModeTest, OnlyIgnoringKeepsDifficulty) {
  auto frames = NearAndFar();
  for (ImageObjects& frame : frames) {
    frame.labels[0].occlusion = 3;  // Of no difficulty.
    frame.labels[0].truncation = 0.9;
    frame.labels[0].box_2d.top = 140;
    frame.detections[0].box_2d.top = 140;  // 10 px: "small" to KITTI.
  }
  AveragePrecisionOptions options = Pedestrians();
  options.max_depth_m = 20;
  EXPECT_EQ(Evaluate(frames, {options})[0].label_count, 0);
  options.range_mode = RangeMode::kDrop;
  const PrecisionRecall dropped = Evaluate(frames, {options})[0];
  EXPECT_EQ(dropped.label_count, 60);
  EXPECT_NEAR(dropped.Average(11), 100, 1e-9);
}

TEST(RangeModeTest, BoundsAreOpenAtZeroAndClosedAtTheCap) {
  AveragePrecisionOptions options = Pedestrians();
  options.max_depth_m = 30;
  options.range_mode = RangeMode::kDrop;
  EXPECT_EQ(Evaluate(NearAndFar(), {options})[0].label_count, 120);
  auto frames = NearAndFar();
  for (ImageObjects& frame : frames) frame.labels[0].box_3d.z = 0;
  EXPECT_EQ(Evaluate(frames, {options})[0].label_count, 60);
  options.range_mode = RangeMode::kIgnore;  // KITTI knows no lower bound.
  EXPECT_EQ(Evaluate(frames, {options})[0].label_count, 120);
}

TEST(RangeModeTest, DroppedDetectionsCannotBeMatchedIgnoredOnesCan) {
  // The label is at 19.9 m, its detection at 20.1 m: they overlap.
  auto frames = NearAndFar();
  for (ImageObjects& frame : frames) {
    frame.labels[0].box_3d.z = 19.95;
    frame.detections[0].box_3d.z = 20.05;
  }
  AveragePrecisionOptions options = Pedestrians();
  options.max_depth_m = 20;
  EXPECT_NEAR(Evaluate(frames, {options})[0].Average(40), 100, 1e-9);
  options.range_mode = RangeMode::kDrop;
  const PrecisionRecall dropped = Evaluate(frames, {options})[0];
  EXPECT_FALSE(dropped.evaluated);  // No detection is left.
  EXPECT_EQ(dropped.label_count, 60);
  EXPECT_EQ(dropped.Average(40), 0);
}

}  // namespace
}  // namespace backfire::metrics
