#include "services/metrics/iou.h"

#include <gtest/gtest.h>

#include <cmath>

#include "services/base/random.h"

namespace backfire::metrics {
namespace {

constexpr double kPi = 3.14159265358979323846;

Box3d Footprint(double length, double width, double x, double z, double yaw) {
  return {/*height=*/1.5, width, length, x, /*y=*/1.65, z, yaw};
}

TEST(Iou2dTest, HalfOverlap) {
  EXPECT_DOUBLE_EQ(Iou2d({0, 0, 10, 10}, {5, 0, 15, 10}), 50.0 / 150.0);
}

TEST(Iou2dTest, NoPixelIsAdded) { EXPECT_EQ(Iou2d({0, 0, 10, 10}, {10, 0, 20, 10}), 0); }

TEST(Iou2dTest, EmptyBoxesOverlapNothing) {
  EXPECT_EQ(Iou2d({5, 5, 5, 5}, {0, 0, 10, 10}), 0);
  EXPECT_EQ(Iou2d({-1, -1, -1, -1}, {-1, -1, -1, -1}), 0);
}

TEST(IouBirdsEyeTest, ShiftAlongLength) {
  // 4 x 2 boxes, 1 m apart along the length: 3 x 2 common, 5 x 2 in all.
  EXPECT_NEAR(IouBirdsEye(Footprint(4, 2, 0, 20, 0), Footprint(4, 2, 1, 20, 0)), 0.6, 1e-12);
}

TEST(IouBirdsEyeTest, CrossedBoxes) {
  // 4 x 2 across 2 x 4: 2 x 2 common, 8 + 8 - 4 in all.
  EXPECT_NEAR(IouBirdsEye(Footprint(4, 2, 3, 20, 0), Footprint(4, 2, 3, 20, kPi / 2)), 4.0 / 12.0,
              1e-12);
}

TEST(IouBirdsEyeTest, SquareTurnedByAnEighth) {
  // The common octagon of two unit squares has area 2 (sqrt 2 - 1).
  const double common = 2 * (std::sqrt(2.0) - 1);
  EXPECT_NEAR(IouBirdsEye(Footprint(1, 1, 0, 9, 0.3), Footprint(1, 1, 0, 9, 0.3 + kPi / 4)),
              common / (2 - common), 1e-12);
}

TEST(IouBirdsEyeTest, YawTurnsAsKittiLabelsIt) {
  // At -pi/2 the length lies along z: a 4 x 2 box then reaches 2 m further away, not aside.
  EXPECT_GT(IouBirdsEye(Footprint(4, 2, 0, 20, -kPi / 2), Footprint(1, 1, 0, 21.4, 0)), 0.1);
  EXPECT_EQ(IouBirdsEye(Footprint(4, 2, 0, 20, -kPi / 2), Footprint(1, 1, 1.6, 20, 0)), 0);
  // At a positive yaw the front (local +x) turns towards -z, nearer to the camera.
  EXPECT_GT(IouBirdsEye(Footprint(4, 1, 0, 20, kPi / 4), Footprint(0.5, 0.5, 1.2, 18.8, 0)), 0.05);
  EXPECT_EQ(IouBirdsEye(Footprint(4, 1, 0, 20, kPi / 4), Footprint(0.5, 0.5, 1.2, 21.2, 0)), 0);
}

TEST(Iou3dTest, CommonHeightIsMeasuredFromTheBottom) {
  Box3d a = Footprint(4, 2, 0, 20, 0.4);
  Box3d b = a;
  b.y -= 0.5;  // Half a metre higher: 1 m common of 1.5 m each.
  EXPECT_NEAR(Iou3d(a, b), 1.0 / 2.0, 1e-12);
  b.y = a.y - 1.5;
  EXPECT_EQ(Iou3d(a, b), 0);
}

TEST(Iou3dTest, BoxesWithoutExtentOverlapNothing) {
  const Box3d dont_care = {-1, -1, -1, -1000, -1000, -1000, -10};
  EXPECT_EQ(IouBirdsEye(dont_care, dont_care), 0);
  EXPECT_EQ(Iou3d(dont_care, dont_care), 0);
}

Box3d RandomBox(Random& random) {
  return {random.Uniform(0.5, 3), random.Uniform(0.5, 3), random.Uniform(0.5, 5),
          random.Uniform(-3, 3),  random.Uniform(0, 2),   random.Uniform(20, 25),
          random.Uniform(-4, 4)};
}

TEST(IouPropertyTest, SymmetricBoundedAndOneOnlyForItself) {
  Random random(1);
  int overlapping = 0;
  for (int i = 0; i < 20000; ++i) {
    const Box3d a = RandomBox(random), b = RandomBox(random);
    const double bev = IouBirdsEye(a, b), solid = Iou3d(a, b);
    ASSERT_NEAR(bev, IouBirdsEye(b, a), 1e-9);
    ASSERT_NEAR(solid, Iou3d(b, a), 1e-9);
    ASSERT_GE(bev, 0);
    ASSERT_LE(bev, 1);
    ASSERT_GE(solid, 0);
    ASSERT_LE(solid, 1);
    ASSERT_NEAR(IouBirdsEye(a, a), 1, 1e-9);
    ASSERT_NEAR(Iou3d(a, a), 1, 1e-9);
    overlapping += bev > 0.05;
  }
  EXPECT_GT(overlapping, 1000);  // The property was put to the test.
}

TEST(IouPropertyTest, ContainedBoxGivesTheRatioOfAreas) {
  Random random(2);
  for (int i = 0; i < 5000; ++i) {
    const Box3d outer = RandomBox(random);
    // Anything within the inscribed circle is inside, whatever its yaw.
    const double radius = std::min(outer.length, outer.width) / 2;
    Box3d inner = outer;
    inner.length = inner.width = radius * 1.4;
    inner.rotation_y = random.Uniform(-4, 4);
    ASSERT_NEAR(IouBirdsEye(outer, inner),
                inner.length * inner.width / (outer.length * outer.width), 1e-9);
  }
}

TEST(IouPropertyTest, MovingBothChangesNothing) {
  Random random(3);
  for (int i = 0; i < 5000; ++i) {
    Box3d a = RandomBox(random), b = RandomBox(random);
    const double before = IouBirdsEye(a, b);
    const double turn = random.Uniform(-3, 3), dx = random.Uniform(-50, 50);
    for (Box3d* box : {&a, &b}) {
      const double x = box->x, z = box->z;
      box->x = std::cos(turn) * x + std::sin(turn) * z + dx;
      box->z = -std::sin(turn) * x + std::cos(turn) * z + 7;
      box->rotation_y += turn;
    }
    ASSERT_NEAR(IouBirdsEye(a, b), before, 1e-9);
  }
}

}  // namespace
}  // namespace backfire::metrics
