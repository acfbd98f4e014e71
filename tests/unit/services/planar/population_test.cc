#include "services/planar/population.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "services/planar/minimise.h"
#include "services/planar/planar_dataset.h"
#include "services/planar/sweep.h"
#include "tests/support/temporary_directory.h"

namespace backfire::planar {
namespace {

std::shared_ptr<const PlanarDataset> Open(const std::string& yaml) {
  auto dataset = PlanarDataset::Open("planar:\n" + yaml, runtime::DatasetAccess::Unlimited());
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *dataset;
}

TEST(PopulationTest, MassesOfEveryShapeSumToOne) {
  const auto dataset = Open(
      "  components:\n"
      "  - {gaussian: {mean: [1, 2], covariance: [1, 0.3, 0.5]}}\n"
      "  - {ring: {centre: [0, 0], radius: 2, deviation: 0.2}}\n"
      "  - {moon: {centre: [0, 0], radius: 1, from_degrees: 20, to_degrees: 160, deviation: 0.1}}\n"
      "  - {polygon: {corners: [{x: 0, y: 0}, {x: 2, y: 0.3}, {x: 1, y: 1.7}]}}\n");
  for (int c = 0; c < 4; ++c) {
    double mass = 0;
    for (size_t i = 0; i < dataset->population().nodes().size(); ++i) {
      mass += dataset->population().Mass(i, c) / dataset->distribution().share(c);
    }
    EXPECT_NEAR(mass, 1, c == 2 ? 1e-5 : 1e-6) << "component " << c;
  }
}

TEST(PopulationTest, SamplesFollowTheDensity) {
  const auto dataset = Open(
      "  test: 20000\n  components:\n"
      "  - {labels: {class: 1}, moon: {centre: [0, 0], radius: 1, from_degrees: 0, to_degrees: 90, "
      "deviation: 0.1}}\n");
  // P(x > y) = 1/2 by symmetry; P(radius < 1) = 1/2; both by counting.
  double right = 0, inside = 0;
  for (const auto& example : dataset->examples(runtime::Split::kTest)) {
    right += example.point.x > example.point.y;
    inside += std::hypot(example.point.x, example.point.y) < 1;
  }
  EXPECT_NEAR(right / 20000, 0.5, 0.015);
  EXPECT_NEAR(inside / 20000, 0.5, 0.015);
  std::vector<double> scores;
  for (const Position node : dataset->population().nodes()) scores.push_back(node.x - node.y);
  EXPECT_NEAR(dataset->population().MeanCost({{0}, {1}, {1}}, scores).value, 0.5, 1e-6);
}

TEST(PopulationTest, HalfAPolygonIsHalf) {
  const auto dataset = Open(
      "  components:\n"
      "  - {polygon: {corners: [{x: 0, y: 0}, {x: 1, y: 0}, {x: 1, y: 1}, {x: 0, y: 1}]}}\n");
  std::vector<double> scores;
  for (const Position node : dataset->population().nodes()) {
    scores.push_back(node.x + 0.5 * node.y -
                     0.61);  // Left of it: 0.61 - 0.25 = 0.36 of the square.
  }
  const Integral integral = dataset->population().MeanCost({{0}, {1}, {1}}, scores);
  EXPECT_NEAR(integral.value, 0.64, 1e-9);
  EXPECT_NEAR(integral.error, 0, 1e-9);
}

TEST(PopulationTest, CurvedBoundariesAreWithinTheStatedError) {
  const auto dataset = Open("  components: [{gaussian: {mean: [0, 0], deviation: 1}}]\n");
  std::vector<double> scores;
  for (const Position node : dataset->population().nodes()) {
    scores.push_back(1 - node.x * node.x - node.y * node.y);
  }
  const Integral integral = dataset->population().MeanCost({{0}, {1}, {1}}, scores);
  EXPECT_GT(integral.error, 0);
  EXPECT_NEAR(integral.value, 1 - std::exp(-0.5), integral.error);  // Rayleigh.
}

TEST(PopulationTest, OpeningEndsOnceNobodyWaits) {
  // The finest mesh that is allowed, and many draws: seconds of work.
  const std::string uri =
      "planar:\n  cells: 400\n  train: 1000000\n  components:\n"
      "  - {ring: {centre: [0, 0], radius: 2, deviation: 0.2}}\n";
  for (const int patience : {0, 1, 100, 25'000}) {
    int asked = 0;
    const runtime::DatasetAccess access{{}, [&] { return ++asked > patience; }};
    const absl::Status status = PlanarDataset::Open(uri, access).status();
    // 320,000 triangles are looked at 20,000 times; then it draws.
    if (patience < 20'000) {
      EXPECT_TRUE(absl::IsCancelled(status)) << status;
      EXPECT_EQ(asked, patience + 1) << "nothing goes on afterwards";
    } else {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_GT(asked, 20'900) << "and asks while it draws";
    }
  }
}

TEST(PopulationTest, PointsAreReadFromTheRootsAlone) {
  const testing::TemporaryDirectory directory;
  const auto write = [&](const std::string& name) {
    std::ofstream(directory / name) << "x,y,class\n0,0,1\n1,1,0\n";
    return "planar:\n  components: [{points: {file: " + (directory / name).string() + "}}]\n";
  };
  std::filesystem::create_directory(directory / "root");
  const std::string outside = write("secret.csv"), inside = write("root/points.csv");
  const runtime::DatasetAccess access{*runtime::DatasetRoots::Under({directory / "root"}), nullptr};
  EXPECT_TRUE(PlanarDataset::Open(inside, access).ok());
  EXPECT_TRUE(PlanarDataset::Open(outside, runtime::DatasetAccess::Unlimited()).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(PlanarDataset::Open(outside, access).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(PlanarDataset::Open(inside, {}).status()));
  std::filesystem::remove(directory / "root/points.csv");
  std::filesystem::create_symlink("../secret.csv", directory / "root/points.csv");
  EXPECT_TRUE(absl::IsPermissionDenied(PlanarDataset::Open(inside, access).status()));
}

TEST(PopulationTest, FaultsHaveTheirLine) {
  for (const auto& [yaml, fault] :
       {std::pair{"  components: []\n", "components must not be empty"},
        {"  components: [{gaussian: {mean: [0, 0], deviation: 0}}]\n",
         "components[0].gaussian.deviation must be > 0: got 0"},
        {"  components: [{gaussian: {mean: [0, 0], covariance: [1, 2, 1]}}]\n",
         "covariance must be positive definite"},
        {"  components: [{ring: {centre: [0, 0], radius: 1, deviation: 0.5}}]\n",
         "radius must be >= 7 deviations"},
        {"  components: [{points: {file: /nowhere.csv}}]\n", "/nowhere.csv"},
        {"  cells: 3\n", "cells must be even"},
        {"  colour: 1\n", "unknown field"}}) {
    const auto dataset =
        PlanarDataset::Open(std::string("planar:\n") + yaml, runtime::DatasetAccess::Unlimited());
    EXPECT_NE(dataset.status().message().find(fault), std::string::npos) << dataset.status();
  }
}

struct Count {
  const std::vector<double>* costs;
  double sum = 0;
  void Add(size_t i) { sum += (*costs)[i]; }
  double cost() const { return sum; }
};

TEST(SweepTest, FindsTheBestOfAllSplits) {
  // Inside the triangle's corner at [0, 1] is worth 1; the two others cost.
  const std::vector<Position> points = {{0, 1}, {1, 0}, {-1, 0}, {0, 0.9}};
  const std::vector<double> costs = {-1, 1, 1, -1};
  const HalfPlaneCut cut = BestHalfPlane(points, SweepDirections(points), Count{&costs});
  EXPECT_EQ(cut.cost, -2);
  EXPECT_GT(cut.normal.x * 0 + cut.normal.y * 0.9, cut.offset);
  EXPECT_LT(cut.normal.x * 1, cut.offset);
}

TEST(MinimiseTest, FindsRosenbrocksValley) {
  const auto rosenbrock = [](const std::vector<double>& at) {
    return 100 * std::pow(at[1] - at[0] * at[0], 2) + std::pow(1 - at[0], 2);
  };
  const std::vector<double> found = Minimise(rosenbrock, {-1.2, 1}, 0.5, 2000);
  EXPECT_NEAR(found[0], 1, 1e-4);
  EXPECT_NEAR(found[1], 1, 1e-4);
}

}  // namespace
}  // namespace backfire::planar
