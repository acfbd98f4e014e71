#include "services/detection/point_rcnn/box_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "services/base/random.h"
#include "services/detection/point_rcnn/cloud_augmentation.h"
#include "services/metrics/iou.h"

namespace backfire::detection {
namespace {

using ::testing::ElementsAre;
using Boxes = std::vector<float>;

// Cars in a crowd, so that many overlap.
Boxes Crowd(int64_t count, uint64_t seed) {
  Random random(seed);
  Boxes boxes;
  for (int64_t i = 0; i < count; ++i) {
    for (const auto& [low, high] :
         {std::pair(-6., 6.), {0.5, 1.5}, {10., 22.}, {1., 2.}, {1., 2.}, {1., 5.}, {-4., 4.}}) {
      boxes.push_back(static_cast<float>(random.Uniform(low, high)));
    }
  }
  return boxes;
}
const float* Row(const Boxes& boxes, int64_t i) { return boxes.data() + i * kBoxColumns; }

TEST(BoxKernelsTest, OverlapsByHand) {
  const Boxes square = {0, 0, 0, 1, 1, 1, 0};
  Boxes turned = square;
  turned[6] = static_cast<float>(M_PI / 4);
  // A square and the same turned by 45 degrees share an octagon.
  EXPECT_NEAR(FootprintOverlap(square.data(), turned.data()), 2 * (std::sqrt(2) - 1), 1e-6);
  EXPECT_NEAR(FootprintIou(square.data(), square.data()), 1, 1e-12);
  // At heading 0 the length lies along x: moved along x by half of it, a third is common.
  const Boxes car = {0, 0, 0, 2, 2, 4, 0}, ahead = {2, 0, 0, 2, 2, 4, 0},
              beside = {0, 0, 2, 2, 2, 4, 0};
  EXPECT_NEAR(FootprintIou(car.data(), ahead.data()), 1.0 / 3, 1e-12);
  EXPECT_EQ(FootprintIou(car.data(), beside.data()), 0) << "they touch";
  // The length along z instead.
  const Boxes across = {0, 0, 0, 2, 2, 4, static_cast<float>(M_PI / 2)};
  EXPECT_NEAR(FootprintOverlap(car.data(), across.data()), 4, 1e-5);
  // Half a height up: y points down.
  const Boxes above = {0, -1, 0, 2, 2, 4, 0}, over = {0, -2, 0, 2, 2, 4, 0};
  EXPECT_NEAR(BoxIou(car.data(), above.data()), 1.0 / 3, 1e-12);
  EXPECT_EQ(BoxIou(car.data(), over.data()), 0);
  const Boxes nothing = {0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(BoxIou(nothing.data(), nothing.data()), 0);
}

TEST(BoxKernelsTest, OverlapsAgreeWithKittisEvaluation) {
  const Boxes boxes = Crowd(80, 1);
  for (int64_t a = 0; a < 80; ++a) {
    for (int64_t b = 0; b < 80; ++b) {
      const metrics::Box3d first = BoxOfRow(Row(boxes, a)), second = BoxOfRow(Row(boxes, b));
      EXPECT_NEAR(FootprintIou(Row(boxes, a), Row(boxes, b)), metrics::IouBirdsEye(first, second),
                  1e-5);
      EXPECT_NEAR(BoxIou(Row(boxes, a), Row(boxes, b)), metrics::Iou3d(first, second), 1e-5);
    }
  }
}

TEST(BoxKernelsTest, SuppressionKeepsTheSurestOfThoseThatOverlap) {
  const Boxes boxes = {0, 0, 10, 2, 2, 4,     0, 0.1f, 0, 10, 2, 2, 4,  0, 9, 0, 10, 2,
                       2, 4, 0,  9, 0, 10.2f, 2, 2,    4, 0,  0, 0, 20, 2, 2, 4, 0};
  EXPECT_THAT(SuppressRotated(boxes.data(), 5, 0.5, 9), ElementsAre(0, 2, 4));
  EXPECT_THAT(SuppressAligned(boxes.data(), 5, 0.5f, 9), ElementsAre(0, 2, 4));
  EXPECT_THAT(SuppressAligned(boxes.data(), 5, 0.5f, 2), ElementsAre(0, 2));
  EXPECT_THAT(SuppressRotated(boxes.data(), 0, 0.5, 9), ElementsAre());
}

TEST(BoxKernelsTest, AlignedSuppressionIgnoresTheHeading) {
  const auto quarter = static_cast<float>(M_PI / 2);
  const Boxes crossed = {0, 0, 10, 2, 1, 5, 0, 0, 0, 10, 2, 1, 5, quarter};
  EXPECT_THAT(SuppressAligned(crossed.data(), 2, 0.5f, 9), ElementsAre(0));
  EXPECT_THAT(SuppressRotated(crossed.data(), 2, 0.5, 9), ElementsAre(0, 1));
}

TEST(BoxKernelsTest, WhatIsNoNumberIsSuppressed) {
  Boxes boxes = Crowd(3, 2);
  boxes[3] = std::numeric_limits<float>::quiet_NaN();
  boxes[2 * kBoxColumns] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(SuppressRotated(boxes.data(), 3, 0.5, 9), ElementsAre(1));
  EXPECT_THAT(SuppressAligned(boxes.data(), 3, 0.5f, 9), ElementsAre(1));
}

TEST(BoxKernelsTest, SuppressionAgreesWithBruteForce) {
  const int64_t count = 400;
  const Boxes boxes = Crowd(count, 3);
  for (const bool rotated : {true, false}) {
    for (const double threshold : {0.1, 0.5, 0.8}) {
      std::vector<int64_t> expected;
      for (int64_t i = 0; i < count; ++i) {
        const bool hidden = std::any_of(expected.begin(), expected.end(), [&](int64_t k) {
          metrics::Box3d a = BoxOfRow(Row(boxes, k)), b = BoxOfRow(Row(boxes, i));
          if (!rotated) a.rotation_y = b.rotation_y = 0;
          return metrics::IouBirdsEye(a, b) > threshold;
        });
        if (!hidden) expected.push_back(i);
      }
      EXPECT_EQ(rotated
                    ? SuppressRotated(boxes.data(), count, threshold, count)
                    : SuppressAligned(boxes.data(), count, static_cast<float>(threshold), count),
                expected);
    }
  }
}

TEST(BoxKernelsTest, PointsInABoxByHand) {
  // Height 2 above y = 1, width 2, length 6 along x.
  const Boxes box = {10, 1, 20, 2, 2, 6, 0};
  const std::vector<float> points = {12.9f, 0,     20,     // in: along the length
                                     10,    0,     22.9f,  // out: along the width
                                     10,    1,     21,     // in: on the corner edge
                                     10,    1.1f,  20,     // out: below the ground
                                     10,    -1,    20,     // in: on the roof
                                     7,     -0.5f, 19};    // in: a corner
  const PointColumns columns(points.data(), 6);
  int64_t count = 0;
  EXPECT_THAT(PointsInBox(columns, box.data(), 10, 9, &count), ElementsAre(0, 2, 4, 5));
  EXPECT_EQ(count, 4);
  EXPECT_THAT(PointsInBox(columns, box.data(), 10, 2, &count), ElementsAre(0, 2));
  EXPECT_EQ(count, 4) << "all are counted";
  EXPECT_THAT(PointsInBox(columns, box.data(), 2.5f, 9, nullptr), ElementsAre(2, 4));
  // Turned by a quarter, the length lies along z.
  Boxes turned = box;
  turned[6] = static_cast<float>(M_PI / 2);
  EXPECT_THAT(PointsInBox(columns, turned.data(), 10, 9, nullptr), ElementsAre(1, 2, 4));
  EXPECT_THAT(PointsInBox(PointColumns(nullptr, 0), box.data(), 10, 9, &count), ElementsAre());
  EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace backfire::detection
