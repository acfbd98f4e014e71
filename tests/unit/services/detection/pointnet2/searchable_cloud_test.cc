#include "services/detection/pointnet2/searchable_cloud.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "services/base/random.h"

namespace backfire::pointnet2 {
namespace {

using ::testing::ElementsAre;
using Points = std::vector<float>;

int64_t Count(const Points& points) { return static_cast<int64_t>(points.size()) / 3; }
const float* At(const Points& points, int64_t i) { return points.data() + 3 * i; }

float SquaredDistance(const float* a, const float* b) {
  const float dx = a[0] - b[0], dy = a[1] - b[1], dz = a[2] - b[2];
  return (dx * dx + dy * dy) + dz * dz;
}

// A street as a camera sees it: dense near, sparse far, some points twice.
Points Street(int64_t count, uint64_t seed) {
  Random random(seed);
  Points points;
  for (int64_t i = 0; i < count; ++i) {
    const double z = 2 + 60 * std::pow(random.Uniform(), 3);
    points.push_back(static_cast<float>(z * random.Uniform(-0.6, 0.6)));
    points.push_back(static_cast<float>(random.Uniform(-1, 2)));
    points.push_back(static_cast<float>(z));
    if (i % 5 == 4) std::copy_n(points.begin() + 3 * (i / 2), 3, points.end() - 3);
  }
  return points;
}

std::vector<int64_t> FarthestByBruteForce(const Points& points, int64_t samples) {
  std::vector<float> nearest(points.size() / 3, std::numeric_limits<float>::infinity());
  std::vector<int64_t> chosen{0};
  while (static_cast<int64_t>(chosen.size()) < samples) {
    int64_t best = 0;
    for (int64_t i = 0; i < Count(points); ++i) {
      float& d = nearest[static_cast<size_t>(i)];
      d = std::min(d, SquaredDistance(At(points, i), At(points, chosen.back())));
      if (d > nearest[static_cast<size_t>(best)]) best = i;
    }
    // Nothing that is left is anywhere else.
    chosen.push_back(nearest[static_cast<size_t>(best)] > 0 ? best : 0);
  }
  return chosen;
}

std::vector<int64_t> Farthest(const Points& points, int64_t samples) {
  std::vector<int64_t> indices(static_cast<size_t>(samples), -1);
  SearchableCloud(points.data(), Count(points)).FarthestPoints(samples, indices.data());
  return indices;
}

std::vector<int64_t> Within(const Points& points, const float* centre, float radius,
                            int64_t limit) {
  std::vector<int64_t> indices(static_cast<size_t>(limit), -1);
  const SearchableCloud cloud(points.data(), Count(points));
  indices.resize(static_cast<size_t>(cloud.WithinRadius(centre, radius, limit, indices.data())));
  return indices;
}

TEST(SearchableCloudTest, FarthestPointsOfALine) {
  // 0 first; 10 is farthest; then 4 and 6 are equally far (4) from both: the lower index.
  const Points line = {0, 0, 0, 4, 0, 0, 6, 0, 0, 10, 0, 0};
  EXPECT_THAT(Farthest(line, 3), ElementsAre(0, 3, 1));
  const Points swapped = {0, 0, 0, 6, 0, 0, 4, 0, 0, 10, 0, 0};
  EXPECT_THAT(Farthest(swapped, 3), ElementsAre(0, 3, 1));
}

TEST(SearchableCloudTest, WhereDistinctPointsRunOutTheFirstIsRepeated) {
  const Points two = {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2};
  EXPECT_THAT(Farthest(two, 4), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(Farthest({5, 5, 5}, 3), ElementsAre(0, 0, 0));
  EXPECT_THAT(Farthest({}, 0), ElementsAre());
}

TEST(SearchableCloudTest, ABallIsOpenAndItsPointsComeInTheirOrder) {
  const Points line = {3, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, -1, 0, 0};
  const float centre[3] = {0, 0, 0};
  EXPECT_THAT(Within(line, centre, 2, 8), ElementsAre(1, 2, 4)) << "2 is not nearer than 2";
  EXPECT_THAT(Within(line, centre, 3.5f, 3), ElementsAre(0, 1, 2)) << "not the nearest three";
  const float nowhere[3] = {50, 0, 0};
  EXPECT_THAT(Within(line, nowhere, 2, 8), ElementsAre());
  EXPECT_THAT(Within({}, nowhere, 2, 8), ElementsAre());
}

TEST(SearchableCloudTest, ThreeNearestByHand) {
  const Points line = {4, 0, 0, 1, 0, 0, -1, 0, 0, 9, 0, 0};
  const SearchableCloud cloud(line.data(), 4);
  const float query[3] = {0, 0, 0};
  std::array<int64_t, 3> index{};
  std::array<float, 3> distance{};
  cloud.ThreeNearest(query, index.data(), distance.data());
  EXPECT_THAT(index, ElementsAre(1, 2, 0)) << "1 and 2 are equally near";
  EXPECT_THAT(distance, ElementsAre(1, 1, 16));

  SearchableCloud(line.data(), 1).ThreeNearest(query, index.data(), distance.data());
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(index, ElementsAre(0, 0, 0));
  EXPECT_THAT(distance, ElementsAre(16, infinity, infinity));
}

class AgainstBruteForceTest : public ::testing::TestWithParam<int64_t> {};

TEST_P(AgainstBruteForceTest, FarthestPoints) {
  const Points points = Street(GetParam(), 7);
  for (const int64_t samples : {GetParam() / 4 + 1, GetParam()}) {
    EXPECT_EQ(Farthest(points, samples), FarthestByBruteForce(points, samples));
  }
}

TEST_P(AgainstBruteForceTest, AnyBeginningOfAFarthestOrderIsItsOwn) {
  const Points points = Street(GetParam(), 11);
  const std::vector<int64_t> order = Farthest(points, GetParam() / 2 + 1);
  Points sampled;
  for (const int64_t i : order) sampled.insert(sampled.end(), At(points, i), At(points, i) + 3);
  const std::vector<int64_t> again = Farthest(sampled, GetParam() / 4 + 1);
  for (size_t i = 0; i < again.size(); ++i) EXPECT_EQ(again[i], static_cast<int64_t>(i));
}

TEST_P(AgainstBruteForceTest, PointsWithinARadius) {
  const Points points = Street(GetParam(), 8);
  const SearchableCloud cloud(points.data(), GetParam());
  for (const float radius : {0.1f, 1.0f, 8.0f, 1000.0f}) {
    for (int64_t q = 0; q < GetParam(); q += 17) {
      std::vector<int64_t> expected;
      for (int64_t i = 0; i < GetParam() && expected.size() < 16; ++i) {
        if (SquaredDistance(At(points, i), At(points, q)) < radius * radius) expected.push_back(i);
      }
      std::vector<int64_t> found(16, -1);
      found.resize(
          static_cast<size_t>(cloud.WithinRadius(At(points, q), radius, 16, found.data())));
      ASSERT_EQ(found, expected) << "radius " << radius << ", around point " << q;
    }
  }
}

TEST_P(AgainstBruteForceTest, ThreeNearest) {
  const Points points = Street(GetParam(), 9), queries = Street(200, 10);
  const SearchableCloud cloud(points.data(), GetParam());
  for (int64_t q = 0; q < 200; ++q) {
    std::vector<std::pair<float, int64_t>> ranked;
    for (int64_t i = 0; i < GetParam(); ++i) {
      ranked.emplace_back(SquaredDistance(At(points, i), At(queries, q)), i);
    }
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(3, {std::numeric_limits<float>::infinity(), 0});
    std::array<int64_t, 3> index{};
    std::array<float, 3> distance{};
    cloud.ThreeNearest(At(queries, q), index.data(), distance.data());
    for (size_t k = 0; k < 3; ++k) {
      ASSERT_EQ(index[k], ranked[k].second) << "query " << q;
      ASSERT_EQ(distance[k], ranked[k].first) << "query " << q;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, AgainstBruteForceTest,
                         ::testing::Values(1, 2, 31, 32, 33, 513, 4000),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace backfire::pointnet2
