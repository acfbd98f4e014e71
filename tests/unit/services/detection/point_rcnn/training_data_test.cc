// What PointRCNN is trained from: sampled and augmented clouds, labels of points, RoIs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "services/base/random.h"
#include "services/detection/point_rcnn/box_kernels.h"
#include "services/detection/point_rcnn/cloud_augmentation.h"
#include "services/detection/point_rcnn/cloud_preparation.h"
#include "services/detection/point_rcnn/stage_labels.h"

namespace backfire::detection {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kNoReach = std::numeric_limits<float>::infinity();

std::vector<float> RandomPoints(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> points;
  for (int64_t i = 0; i < count; ++i) {
    points.push_back(static_cast<float>(random.Uniform(-10, 10)));
    points.push_back(static_cast<float>(random.Uniform(-1, 2)));
    points.push_back(static_cast<float>(random.Uniform(2, 60)));
  }
  return points;
}

std::vector<int64_t> Inside(const LabelledCloud& cloud, int64_t box) {
  return PointsInBox(PointColumns(cloud.points.data(), cloud.point_count()),
                     cloud.boxes.data() + box * kBoxColumns, kNoReach, cloud.point_count(),
                     nullptr);
}

PointCloudView View(const std::vector<float>& points) {
  return {points.data(), static_cast<int64_t>(points.size()) / 3, 3};
}

TEST(PointsInRangeTest, KeepsWhatIsInsideAndDropsWhatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> points = {0,  0, 10, 41, 0,   10, 0,  -1.1f, 10,  0,  3.1f, 10, 0,    0,
                                     -1, 0, 0,  71, nan, 0,  10, 0,     nan, 10, -40,  3,  70.4f};
  EXPECT_THAT(PointsInRange(View(points), {}), ElementsAre(0, 0, 10, -40, 3, 70.4f));
  CloudOptions near;
  near.max_depth_m = 20;
  EXPECT_THAT(PointsInRange(View(points), near), ElementsAre(0, 0, 10));
}

TEST(PointsInRangeTest, TheAngularMapKeepsOnePointOfADirection) {
  CloudOptions options;
  options.angular_map = true;
  // Two in one direction, whose cell's middle the second is nearer to; one far to the side; one
  // behind 45 degrees.
  const double column = (256.5 / 512 * 90 - 45) * M_PI / 180;
  const double row = (2 - 20.5 / 64 * 26.8) * M_PI / 180;
  const auto at = [&](double range, double off) {
    const double azimuth = column + off;
    return std::vector<float>{static_cast<float>(range * std::sin(azimuth)),
                              static_cast<float>(-range * std::tan(row)),
                              static_cast<float>(range * std::cos(azimuth))};
  };
  std::vector<float> points = at(20, 0.001);
  const std::vector<float> middle = at(10, 0), side = {8, 0.5f, 10}, beyond = {10, 0.5f, 8};
  for (const auto* more : {&middle, &side, &beyond}) {
    points.insert(points.end(), more->begin(), more->end());
  }
  EXPECT_THAT(PointsInRange(View(points), options),
              ElementsAre(middle[0], middle[1], middle[2], 8, 0.5f, 10));
}

TEST(SamplePointsTest, FarPointsStayAndNoneIsDrawnTwice) {
  const std::vector<float> points = RandomPoints(300, 1);
  Random random(1);
  const std::vector<float> sampled = SamplePoints(points, 200, random);
  ASSERT_EQ(sampled.size(), 600u);
  std::set<std::vector<float>> distinct;
  int64_t far = 0;
  for (size_t i = 0; i < 200; ++i) {
    distinct.insert({sampled.begin() + 3 * static_cast<std::ptrdiff_t>(i),
                     sampled.begin() + 3 * static_cast<std::ptrdiff_t>(i) + 3});
    far += sampled[3 * i + 2] >= 40 ? 1 : 0;
  }
  EXPECT_EQ(distinct.size(), 200u);
  int64_t far_before = 0;
  for (size_t i = 0; i < 300; ++i) far_before += points[3 * i + 2] >= 40 ? 1 : 0;
  EXPECT_EQ(far, far_before);
}

TEST(SamplePointsTest, TooFewComeAgain) {
  const std::vector<float> two = {1, 1, 1, 2, 2, 2};
  Random random(1);
  std::vector<float> sampled = SamplePoints(two, 5, random);
  ASSERT_EQ(sampled.size(), 15u);
  const auto ones = std::count(sampled.begin(), sampled.end(), 1.f) / 3;
  EXPECT_THAT(ones, ::testing::AnyOf(2, 3));
  EXPECT_TRUE(SamplePoints({}, 5, random).empty());
}

LabelledCloud TwoCars() {
  LabelledCloud cloud;
  cloud.points = RandomPoints(3000, 2);
  cloud.boxes = {2, 1.5f, 15, 1.5f, 2, 4, 0.3f, -3, 1.5f, 30, 1.6f, 2, 4.5f, -1.2f};
  return cloud;
}

TEST(AugmentationTest, PointsStayInTheirBoxes) {
  const LabelledCloud before = TwoCars();
  ASSERT_FALSE(Inside(before, 0).empty());
  for (int kind = 0; kind < 3; ++kind) {
    LabelledCloud cloud = before;
    if (kind == 0) ScaleCloud(cloud, 1.05f);
    if (kind == 1) TurnCloud(cloud, 0.17f);
    if (kind == 2) MirrorCloud(cloud);
    EXPECT_NE(cloud.points, before.points);
    for (int64_t box : {0, 1}) {
      // Points at the very surface may change sides by rounding.
      const auto now = Inside(cloud, box), then = Inside(before, box);
      EXPECT_NEAR(static_cast<double>(now.size()), static_cast<double>(then.size()), 1) << kind;
      std::vector<int64_t> common;
      std::set_intersection(now.begin(), now.end(), then.begin(), then.end(),
                            std::back_inserter(common));
      EXPECT_GE(common.size() + 1, then.size()) << kind;
    }
  }
}

TEST(AugmentationTest, MirroringTwiceChangesNothing) {
  LabelledCloud cloud = TwoCars();
  MirrorCloud(cloud);
  MirrorCloud(cloud);
  EXPECT_EQ(cloud.points, TwoCars().points);
  EXPECT_THAT(cloud.boxes, ::testing::Pointwise(::testing::FloatNear(1e-6f), TwoCars().boxes));
}

TEST(ObjectBankTest, PastesObjectsWhereThereIsRoom) {
  ObjectBank bank;
  bank.Add(TwoCars(), 1);
  EXPECT_EQ(bank.size(), 2);
  LabelledCloud empty;
  empty.points = RandomPoints(3000, 3);
  Random random(1);
  bank.Paste(empty, 20, random);
  // Each twice or more, but a place has room for one.
  ASSERT_EQ(empty.box_count(), 2);
  for (int64_t box : {0, 1}) {
    const auto inside = Inside(empty, box);
    EXPECT_FALSE(inside.empty());
    for (const int64_t i : inside) {
      // They are the pasted points, at the end; the cloud's own are gone.
      EXPECT_GE(i, empty.point_count() - static_cast<int64_t>(Inside(TwoCars(), 0).size() +
                                                              Inside(TwoCars(), 1).size()));
    }
  }
  LabelledCloud full = TwoCars();
  bank.Paste(full, 20, random);
  EXPECT_EQ(full.box_count(), 2);
  EXPECT_EQ(full.points, TwoCars().points);
  ObjectBank().Paste(full, 5, random);
}

TEST(LabelPointsTest, InsideAroundAndElsewhere) {
  LabelledCloud cloud;
  cloud.boxes = {10, 2, 20, 2, 2, 4, 0.5f};
  cloud.points = {10,
                  1,
                  20,  // the middle
                  static_cast<float>(10 + 2.1 * std::cos(0.5)),
                  1,
                  static_cast<float>(20 - 2.1 * std::sin(0.5)),  // 0.1 m before the front
                  10,
                  2.15f,
                  20,  // 0.15 m below
                  0,
                  1,
                  20};
  const PointLabels found = LabelPoints(cloud);
  EXPECT_THAT(found.labels, ElementsAre(1, -1, -1, 0));
  const std::vector<float> middle(found.truth.begin(), found.truth.begin() + 7);
  EXPECT_THAT(middle, ElementsAre(0, 0, 0, 2, 2, 4, 0.5f)) << "y to the centre";
}

TEST(SampleRoisTest, LabelsFollowTheOverlap) {
  const std::vector<float> truth = {0, 1.5f, 20, 1.5f, 1.6f, 4, 0.4f};
  std::vector<float> proposals;
  Random place(4);
  for (int64_t i = 0; i < 200; ++i) {
    for (size_t c = 0; c < 7; ++c) {
      const double spread = c == 0 || c == 2 ? 3 : c == 6 ? 0.2 : 0.1;
      proposals.push_back(truth[c] + static_cast<float>(place.Uniform(-spread, spread)));
    }
  }
  Random random(5);
  const RoiSample sample = SampleRois(proposals, truth, 64, random);
  ASSERT_EQ(sample.labels.size(), 64u);
  int64_t good = 0;
  for (size_t i = 0; i < 64; ++i) {
    const float* roi = sample.boxes.data() + 7 * i;
    const double iou = BoxIou(roi, truth.data());
    EXPECT_EQ(sample.labels[i], iou > 0.6 ? 1 : iou < 0.45 ? 0 : -1);
    EXPECT_EQ(sample.valid[i], iou > 0.55 ? 1 : 0);
    good += iou > 0.55 ? 1 : 0;
    // Back from the RoI's frame: turned by -heading, then moved.
    const float* relative = sample.truth.data() + 7 * i;
    const double c = std::cos(-roi[6]), s = std::sin(-roi[6]);
    EXPECT_NEAR(roi[0] + relative[0] * c - relative[2] * s, truth[0], 1e-4);
    EXPECT_NEAR(roi[1] + relative[1], truth[1], 1e-5);
    EXPECT_NEAR(roi[2] + relative[0] * s + relative[2] * c, truth[2], 1e-4);
    EXPECT_NEAR(roi[6] + relative[6], truth[6], 1e-5);
  }
  EXPECT_EQ(good, 32);
}

TEST(SampleRoisTest, WithoutObjectsAllIsBackground) {
  const std::vector<float> proposals = {0, 1, 20, 1.5f, 1.6f, 4, 0, 5, 1, 20, 1.5f, 1.6f, 4, 0};
  Random random(1);
  const RoiSample sample = SampleRois(proposals, {}, 8, random);
  EXPECT_THAT(sample.labels, ElementsAre(0, 0));
  EXPECT_THAT(sample.valid, Each(0));
  EXPECT_TRUE(SampleRois({}, {}, 8, random).labels.empty());
}

TEST(SampleRoisTest, TrueBoxesAreFoundWithoutProposals) {
  const std::vector<float> truth = {0, 1.5f, 20, 1.5f, 1.6f, 4, 0.4f};
  Random random(1);
  const RoiSample sample = SampleRois({}, truth, 16, random);
  EXPECT_GT(std::count(sample.valid.begin(), sample.valid.end(), 1), 0);
}

}  // namespace
}  // namespace backfire::detection
