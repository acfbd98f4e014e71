#include "services/detection/frustum.h"

#include <gtest/gtest.h>

#include <cmath>

namespace backfire::detection {
namespace {

datasets::StereoCalibration Calibration() {
  datasets::StereoCalibration calibration;
  calibration.left = {100, 0, 50, 0, 0, 100, 20, 0, 0, 0, 1, 0};
  calibration.right = {100, 0, 50, -50, 0, 100, 20, 0, 0, 0, 1, 0};
  return calibration;
}

TEST(FrustumTest, HoldsThePointsThatProjectIntoTheBox) {
  // (5, 0, 10) projects to column 100, row 20; the others beside, behind and above the box.
  const std::vector<float> points = {5, 0, 10, 0, 0, 10, 5, 0, -10, 5, -3, 10};
  Random random(1);
  const Frustum frustum =
      ExtractFrustum({points.data(), 4, 3}, Calibration(), {90, 10, 110, 30}, 6, 1, random);
  ASSERT_EQ(frustum.size(), 6) << "drawn again and again";
  EXPECT_NEAR(frustum.angle, std::atan2(0.5, 1), 1e-12);
  EXPECT_NEAR(frustum.depth_m, std::hypot(5, 10), 1e-5);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(frustum.points[static_cast<size_t>(3 * i)], 0, 1e-5) << "straight ahead";
    EXPECT_NEAR(frustum.points[static_cast<size_t>(3 * i + 2)], 0, 1e-5) << "at the median depth";
  }
  EXPECT_EQ(
      ExtractFrustum({points.data(), 4, 3}, Calibration(), {90, 10, 110, 30}, 6, 2, random).size(),
      0);
  EXPECT_EQ(ExtractFrustum({nullptr, 0, 3}, Calibration(), {90, 10, 110, 30}, 6, 1, random).size(),
            0);
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
                      static_cast<float>(random.Uniform(-4, 4))};
    const bool inside = Inside(box, frustum.points.data());
    Mirror(frustum, box);
    EXPECT_EQ(Inside(box, frustum.points.data()), inside);
  }
}

}  // namespace
}  // namespace backfire::detection
