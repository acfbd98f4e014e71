#include "services/metrics/footprint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "services/base/random.h"

namespace backfire::metrics {
namespace {

constexpr double kPi = 3.14159265358979323846;

Box3d RandomBox(Random& random) {
  Box3d box;
  box.height = 1.5;
  box.width = random.Uniform(0.3, 3);
  box.length = random.Uniform(0.3, 6);
  box.x = random.Uniform(-2, 2);
  box.z = random.Uniform(20, 24);
  // Right angles and equal headings too: there the outlines have parallel and common parts.
  box.rotation_y = random.Uniform() < 0.3 ? random.Below(8) * kPi / 4 : random.Uniform(-4, 4);
  return box;
}

bool Inside(const Box3d& box, double x, double z) {
  const double dx = x - box.x, dz = z - box.z;
  const double along = std::cos(box.rotation_y) * dx - std::sin(box.rotation_y) * dz;
  const double across = std::sin(box.rotation_y) * dx + std::cos(box.rotation_y) * dz;
  return std::abs(along) <= box.length / 2 && std::abs(across) <= box.width / 2;
}

// Counts points of a fine grid over the first box that lie in the second.
TEST(CommonAreaTest, AgreesWithBruteForce) {
  Random random(4);
  for (int i = 0; i < 300; ++i) {
    const Box3d a = RandomBox(random), b = RandomBox(random);
    constexpr int kGrid = 300;
    int64_t inside = 0;
    for (int u = 0; u < kGrid; ++u) {
      for (int v = 0; v < kGrid; ++v) {
        const double along = ((u + 0.5) / kGrid - 0.5) * a.length;
        const double across = ((v + 0.5) / kGrid - 0.5) * a.width;
        const double x = a.x + std::cos(a.rotation_y) * along + std::sin(a.rotation_y) * across;
        const double z = a.z - std::sin(a.rotation_y) * along + std::cos(a.rotation_y) * across;
        inside += Inside(b, x, z) ? 1 : 0;
      }
    }
    const double area = a.length * a.width;
    // The outline of b crosses at most some four rows of cells a side.
    ASSERT_NEAR(CommonArea(FootprintOf(a), FootprintOf(b)), area * inside / (kGrid * kGrid),
                area * 8 / kGrid)
        << "pair " << i;
  }
}

using Corner = std::pair<long double, long double>;

std::vector<Corner> CornersOf(const Box3d& box) {
  std::vector<Corner> corners;
  const long double c = std::cos(static_cast<long double>(box.rotation_y));
  const long double s = std::sin(static_cast<long double>(box.rotation_y));
  for (const auto& [along, across] : {std::pair(1, 1), {1, -1}, {-1, -1}, {-1, 1}}) {
    const long double l = along * box.length / 2.0L, w = across * box.width / 2.0L;
    corners.emplace_back(box.x + c * l + s * w, box.z - s * l + c * w);
  }
  return corners;  // Clockwise, z up.
}

// Another way to the same number: clips one polygon by the other's edges (Sutherland and Hodgman,
// 1974), with eleven more bits.
long double AreaByClipping(const Box3d& a, const Box3d& b) {
  std::vector<Corner> polygon = CornersOf(b);
  const std::vector<Corner> clip = CornersOf(a);
  for (size_t e = 0; e < clip.size() && !polygon.empty(); ++e) {
    const auto& [x0, z0] = clip[e];
    const auto& [x1, z1] = clip[(e + 1) % clip.size()];
    const auto left_of = [&](const Corner& corner) {
      return (x1 - x0) * (corner.second - z0) - (z1 - z0) * (corner.first - x0);
    };
    std::vector<Corner> kept;
    for (size_t i = 0; i < polygon.size(); ++i) {
      const Corner& from = polygon[i];
      const Corner& to = polygon[(i + 1) % polygon.size()];
      const long double here = left_of(from), there = left_of(to);
      if (here <= 0) kept.push_back(from);
      if ((here < 0 && there > 0) || (here > 0 && there < 0)) {
        const long double t = here / (here - there);
        kept.emplace_back(from.first + t * (to.first - from.first),
                          from.second + t * (to.second - from.second));
      }
    }
    polygon = kept;
  }
  long double twice = 0;
  for (size_t i = 0; i < polygon.size(); ++i) {
    const Corner& from = polygon[i];
    const Corner& to = polygon[(i + 1) % polygon.size()];
    twice += from.first * to.second - to.first * from.second;
  }
  return std::abs(twice) / 2;
}

TEST(CommonAreaTest, AgreesWithClippingInHigherPrecision) {
  Random random(7);
  int overlapping = 0;
  for (int i = 0; i < 100000; ++i) {
    const Box3d a = RandomBox(random), b = RandomBox(random);
    const auto wanted = static_cast<double>(AreaByClipping(a, b));
    ASSERT_NEAR(CommonArea(FootprintOf(a), FootprintOf(b)), wanted, 1e-13 * 40) << "pair " << i;
    overlapping += wanted > 0.1 ? 1 : 0;
  }
  EXPECT_GT(overlapping, 30000);
}

TEST(CommonAreaTest, ManyAtOnceIsOneByOneBitForBit) {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    const Footprint one = FootprintOf(RandomBox(random));
    Footprints many;
    std::vector<Footprint> each;
    for (int64_t i = random.Below(20); i >= 0; --i) {
      each.push_back(FootprintOf(RandomBox(random)));
      many.Add(each.back());
    }
    std::vector<double> areas;
    many.CommonAreas(one, areas);
    ASSERT_EQ(areas.size(), each.size());
    for (size_t i = 0; i < each.size(); ++i) ASSERT_EQ(areas[i], CommonArea(one, each[i]));
  }
}

TEST(CommonAreaTest, SharedEdgesAndCornersAreNoArea) {
  const auto at = [](double x, double z, double yaw) {
    Box3d box;
    box.length = 4;
    box.width = 2;
    box.x = x;
    box.z = z;
    box.rotation_y = yaw;
    return FootprintOf(box);
  };
  for (int turn = 0; turn < 16; ++turn) {
    const double yaw = turn * kPi / 8;
    const double c = std::cos(yaw), s = std::sin(yaw);
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(4 * c, -4 * s, yaw)), 0, 1e-14);
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(2 * s, 2 * c, yaw)), 0, 1e-14);
    EXPECT_EQ(CommonArea(at(0, 0, yaw), at(6 * c, -6 * s, yaw + 0.1)), 0);
    EXPECT_EQ(CommonArea(at(0, 0, yaw), at(5 * s, 5 * c, yaw + 0.1)), 0);
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(0, 0, yaw)), 8, 1e-14);
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(0, 0, yaw + kPi)), 8, 1e-14);
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(0, 0, yaw + kPi / 2)), 4, 1e-14);
    // The least turn that a double holds must not tear the outline.
    EXPECT_NEAR(CommonArea(at(0, 0, yaw), at(0, 0, std::nextafter(yaw, 100))), 8, 1e-13);
  }
}

TEST(CommonAreaTest, FarFromTheCameraIsNoLessExact) {
  Random random(6);
  for (int i = 0; i < 1000; ++i) {
    Box3d a = RandomBox(random), b = RandomBox(random);
    const double near = CommonArea(FootprintOf(a), FootprintOf(b));
    for (Box3d* box : {&a, &b}) box->x += 65536;  // A power of two: positions round, no more.
    ASSERT_NEAR(CommonArea(FootprintOf(a), FootprintOf(b)), near, 1e-10);
  }
}

TEST(FootprintOfTest, BoxesWithoutExtentHaveNone) {
  Box3d flat;
  flat.length = 4;
  EXPECT_EQ(CommonArea(FootprintOf(flat), FootprintOf(flat)), 0);
  flat.width = -1;
  EXPECT_EQ(CommonArea(FootprintOf(flat), FootprintOf(flat)), 0);
}

}  // namespace
}  // namespace backfire::metrics
