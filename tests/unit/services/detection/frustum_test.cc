#include "services/detection/frustum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace backfire::detection {
namespace {

datasets::StereoCalibration Calibration() {
  datasets::StereoCalibration calibration;
  calibration.left = {100, 0, 50, 0, 0, 100, 20, 0, 0, 0, 1, 0};
  calibration.right = {100, 0, 50, -50, 0, 100, 20, 0, 0, 0, 1, 0};
  return calibration;
}

// (5, 0, 10) projects to column 100, row 20; the others beside, behind and above the box.
const std::vector<float> kPoints = {5, 0, 10, 0, 0, 10, 5, 0, -10, 5, -3, 10};
constexpr metrics::Box2d kBox{90, 10, 110, 30};

TEST(FrustumTest, HoldsThePointsThatProjectIntoTheBox) {
  const auto points = Project({kPoints.data(), 4, 3}, Calibration());
  ASSERT_EQ(points.size(), 3u) << "one lies behind the camera";
  EXPECT_FLOAT_EQ(points[0].u, 100);
  EXPECT_FLOAT_EQ(points[0].v, 20);
  const double angle = FrustumAngle(kBox, Calibration());
  EXPECT_NEAR(angle, std::atan2(0.5, 1), 1e-12);
  FrustumOptions options;
  options.points = 6;
  Random random(1);
  const Frustum frustum = CutFrustum(points, kBox, angle, options, random);
  ASSERT_EQ(frustum.size(), 6) << "drawn again and again";
  EXPECT_EQ(frustum.depth_m, 0);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(frustum.point(i)[0], 0, 1e-5) << "straight ahead";
    EXPECT_NEAR(frustum.point(i)[2], std::hypot(5, 10), 1e-5);
    EXPECT_EQ(frustum.point(i)[3], 1) << "the intensity of a cloud that has none";
  }
  EXPECT_EQ(CutFrustum(points, {0, 0, 5, 5}, 0, options, random).size(), 0);
  EXPECT_EQ(CutFrustum({}, kBox, angle, options, random).size(), 0);
}

TEST(FrustumTest, DepthMayBeRelativeToTheMedian) {
  // Straight ahead, at 10, 11 and 60 m.
  const std::vector<float> ahead = {0, 0, 10, 0.5, 0, 0, 11, 0.5, 0, 0, 60, 0.5};
  FrustumOptions options;
  options.points = 3;
  Random random(1);
  const auto points = Project({ahead.data(), 3, 4}, Calibration());
  const Frustum absolute = CutFrustum(points, {40, 10, 60, 30}, 0, options, random);
  EXPECT_GE(absolute.point(0)[2], 10);
  EXPECT_EQ(absolute.point(0)[3], 0.5f) << "the cloud's intensity";
  options.relative_depth = true;
  const Frustum frustum = CutFrustum(Project({ahead.data(), 3, 4}, Calibration()), {40, 10, 60, 30},
                                     0, options, random);
  ASSERT_EQ(frustum.size(), 3);
  EXPECT_FLOAT_EQ(static_cast<float>(frustum.depth_m), 11);
  std::vector<float> depths;
  for (int64_t i = 0; i < 3; ++i) {
    depths.push_back(frustum.point(i)[2]);
    EXPECT_FLOAT_EQ(frustum.point(i)[3], 11.0f / 20);
  }
  EXPECT_THAT(depths, ::testing::UnorderedElementsAre(-1, 0, 15)) << "the far one is held at 15 m";
}

TEST(FrustumTest, PointsAreDrawnOnceWhileThereAreEnough) {
  std::vector<ProjectedPoint> points;
  for (int i = 0; i < 50; ++i) points.push_back({static_cast<float>(i), 0, 10, 1, 1, 1});
  FrustumOptions options;
  options.points = 50;
  Random random(3), other(4);
  const Frustum frustum = CutFrustum(points, {0, 0, 2, 2}, 0, options, random);
  std::set<float> distinct;
  for (int64_t i = 0; i < 50; ++i) distinct.insert(frustum.point(i)[0]);
  EXPECT_EQ(distinct.size(), 50u);
  EXPECT_NE(CutFrustum(points, {0, 0, 2, 2}, 0, options, other).points, frustum.points);
}

TEST(FrustumTest, BoxesGoThereAndBack) {
  Random random(5);
  for (int i = 0; i < 200; ++i) {
    Frustum frustum;
    frustum.angle = random.Uniform(-1, 1);
    frustum.depth_m = random.Uniform(3, 60);
    metrics::Box3d box{random.Uniform(1, 2),     random.Uniform(1, 2),  random.Uniform(3, 5),
                       random.Uniform(-9, 9),    random.Uniform(-1, 3), random.Uniform(4, 60),
                       random.Uniform(-3.1, 3.1)};
    const metrics::Box3d back = FromFrustum(ToFrustum(box, frustum), frustum);
    EXPECT_NEAR(back.x, box.x, 1e-9);
    EXPECT_NEAR(back.y, box.y, 1e-9);
    EXPECT_NEAR(back.z, box.z, 1e-9);
    EXPECT_NEAR(back.rotation_y, box.rotation_y, 1e-9);
    EXPECT_NEAR(back.length, box.length, 1e-9);
  }
}

TEST(FrustumTest, InsideFollowsKittisHeading) {
  // At rotation_y 0 the length lies along x, at -pi/2 along z.
  FrustumBox box{0, 0, 0, 2, 2, 6, 0};
  const float along_x[] = {2.9f, 0, 0}, along_z[] = {0, 0, 2.9f}, above[] = {0, -1.1f, 0};
  EXPECT_TRUE(Inside(box, along_x));
  EXPECT_FALSE(Inside(box, along_z));
  EXPECT_FALSE(Inside(box, above));
  box.heading = -M_PI / 2;
  EXPECT_FALSE(Inside(box, along_x));
  EXPECT_TRUE(Inside(box, along_z));
  // Turned by 45 degrees towards +z on the right: rotation_y = -pi/4.
  box.heading = -M_PI / 4;
  const float right_far[] = {2, 0, 2}, right_near[] = {2, 0, -2};
  EXPECT_TRUE(Inside(box, right_far));
  EXPECT_FALSE(Inside(box, right_near));
}

TEST(FrustumTest, AMirroredPointStaysInItsMirroredBox) {
  Random random(9);
  for (int i = 0; i < 200; ++i) {
    FrustumBox box{random.Uniform(-2, 2), 0, random.Uniform(-2, 2), 2, 2, 5, random.Uniform(-3, 3)};
    Frustum frustum;
    frustum.points = {static_cast<float>(random.Uniform(-4, 4)), 0,
                      static_cast<float>(random.Uniform(-4, 4)), 1};
    const bool inside = Inside(box, frustum.points.data());
    Mirror(frustum, box);
    EXPECT_EQ(Inside(box, frustum.points.data()), inside);
  }
}

}  // namespace
}  // namespace backfire::detection
