// Decompositions that can be solved by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "services/yaml/yaml_message.h"
#include "tests/support/planar_study.h"

namespace backfire::testing {
namespace {

using planar::Rehearsal;
using ::testing::DoubleNear;
using ::testing::Le;

double Phi(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

// A system v -> w over a dataset, w linear on v's position.
v1::System LinearSystem(const std::string& components, const std::string& rest,
                        const std::string& field) {
  v1::System system;
  const std::string yaml = absl::StrCat(
      "name: hand\nrequest:\n- {name: point, datatype: FP64, shape: [2]}\n"
      "outputs: {label: w.label}\nreplicates: 1\nseed: 3\ndataset: |\n  planar:\n    components:\n",
      components, "    targets: {v: {loss: position_error}}\n", rest,
      "vertices:\n- {name: v, endpoint: unix:x, inputs: {point: request.point}, recipe: {name: "
      "position, "
      "parameters: {field: ",
      field,
      "}}}\n- name: w\n  endpoint: unix:x\n  inputs: {point: request.point, v: v.position}\n"
      "  recipe: {name: linear, parameters: {training_size: 30}}\n  references:\n"
      "    bayes: {name: bayes}\n    optimal: {name: optimal}\n"
      "    optimal_in_class: {name: optimal-in-class, parameters: {hypotheses: linear}}\n");
  const absl::Status status = ParseYaml(yaml, "hand", system);
  EXPECT_TRUE(status.ok()) << status;
  return system;
}

struct Solved {
  diagnosis::TrueLosses losses;
  double line[3];  // w's score: line[0] + line[1] x + line[2] y of v's position.
};

Solved Solve(const v1::System& system) {
  Solved solved{};
  auto rehearsal = Rehearsal::Make(system);
  EXPECT_TRUE(rehearsal.ok()) << rehearsal.status();
  const auto versions = (*rehearsal)->TrainAll(0);
  EXPECT_TRUE(versions.ok()) << versions.status();
  const auto losses = TrueLossesOf(**rehearsal, "w", *versions);
  EXPECT_TRUE(losses.ok()) << losses.status();
  solved.losses = *losses;
  if ((*rehearsal)->graph().Has("u")) return solved;  // A table has no line.
  const auto score = [&](double x, double y) {
    runtime::TensorMap inputs;
    for (const char* name : {"point", "v"}) {
      inputs[name] = runtime::MakeTensor(runtime::Datatype::kFp64, {2});
      inputs[name].MutableAs<double>()[0] = x;
      inputs[name].MutableAs<double>()[1] = y;
    }
    return *Rehearsal::Predict(*versions->at("w"), inputs)->at("score").As<double>();
  };
  solved.line[0] = score(0, 0);
  solved.line[1] = score(1, 0) - solved.line[0];
  solved.line[2] = score(0, 1) - solved.line[0];
  return solved;
}

constexpr char kSpheres[] =
    "    - {labels: {class: 0}, gaussian: {mean: [-1, 0], deviation: 1}}\n"
    "    - {labels: {class: 1}, gaussian: {mean: [1, 0], deviation: 1}}\n";

TEST(DecompositionTest, GaussianClassesWithEqualCovarianceAndALine) {
  const Solved solved = Solve(LinearSystem(kSpheres, "", "[]"));
  // Least possible: a point is on the wrong side of the line half-way between the means.
  EXPECT_NEAR(solved.losses.bayes, Phi(-1), 1e-9);
  EXPECT_NEAR(solved.losses.optimal, Phi(-1), 1e-9);
  EXPECT_NEAR(solved.losses.optimal_in_class, Phi(-1), 1e-9);
  // The line that was learned: each class's normal tail beyond it.
  const double* line = solved.line;
  const double length = std::hypot(line[1], line[2]);
  const double risk = (Phi((line[0] - line[1]) / length) + Phi(-(line[0] + line[1]) / length)) / 2;
  EXPECT_NEAR(solved.losses.version, risk, 1e-9);
  EXPECT_THAT(solved.losses.numerical_error, Le(1e-9));

  const v1::ErrorTerms terms = diagnosis::Decompose({solved.losses});
  EXPECT_NEAR(terms.upstream() + terms.approximation() + terms.estimation(), risk - Phi(-1), 1e-9);
  EXPECT_NEAR(terms.upstream(), 0, 1e-12);
  EXPECT_NEAR(terms.approximation(), 0, 1e-9);
}

TEST(DecompositionTest, AnInvertibleMapOfThePlaneCostsNothing) {
  const Solved plain = Solve(LinearSystem(kSpheres, "", "[]"));
  const Solved moved = Solve(
      LinearSystem(kSpheres, "", "[{rotate_degrees: 30}, {offset: [3, -1]}, {scale: [2, 0.5]}]"));
  EXPECT_NEAR(moved.losses.optimal, plain.losses.optimal, 1e-9);
  EXPECT_NEAR(moved.losses.optimal_in_class, plain.losses.optimal_in_class, 1e-9);
}

TEST(DecompositionTest, CovarianceSharesAndNoise) {
  // Mahalanobis' distance of the means: d' S^-1 d with S^-1 = [1, -0.5; -0.5, 1] / 0.75, d = [2,
  // 1].
  const double distance = std::sqrt((4 - 2 + 1) / 0.75);
  // One class is three times as likely; its side of the line is wider by log(3) / distance.
  const double shift = std::log(3.0) / distance;
  const double risk = 0.75 * Phi(-distance / 2 - shift) + 0.25 * Phi(-distance / 2 + shift);
  const double noise = 0.1;
  const Solved solved = Solve(LinearSystem(
      "    - {weight: 3, labels: {class: 0}, gaussian: {mean: [0, 0], covariance: [1, 0.5, 1]}}\n"
      "    - {weight: 1, labels: {class: 1}, gaussian: {mean: [2, 1], covariance: [1, 0.5, 1]}}\n",
      "    label_noise: 0.1\n", "[]"));
  // With noise the best score is no longer linear: right within the stated error.
  EXPECT_THAT(solved.losses.numerical_error, Le(1e-6));
  EXPECT_NEAR(solved.losses.bayes, noise + (1 - 2 * noise) * risk,
              solved.losses.numerical_error + 1e-9);
  EXPECT_NEAR(solved.losses.optimal_in_class, noise + (1 - 2 * noise) * risk, 1e-9);
}

TEST(DecompositionTest, ACollapsedPlaneLeavesTheMoreLikelyLabel) {
  const Solved solved = Solve(LinearSystem(
      "    - {weight: 2, labels: {class: 0}, gaussian: {mean: [-1, 0], deviation: 1}}\n"
      "    - {weight: 1, labels: {class: 1}, gaussian: {mean: [1, 0], deviation: 1}}\n",
      "", "[{collapse: [0, 0]}]"));
  EXPECT_NEAR(solved.losses.optimal, 1.0 / 3, 1e-9);
  EXPECT_NEAR(solved.losses.optimal_in_class, 1.0 / 3, 1e-9);
}

// Four cells of probability 0.1, 0.2, 0.3, 0.4, which two half-planes tell apart.
v1::System FourCells(const std::string& u, const std::string& v) {
  v1::System system;
  const std::string yaml = absl::StrCat(
      R"(name: cells
request: [{name: point, datatype: FP64, shape: [2]}]
outputs: {label: w.label}
replicates: 1
dataset: |
  planar:
    components:
    - {weight: 1, labels: {class: 0}, grid: {low: [0.5, 0.5], high: [1.5, 1.5], columns: 1, rows: 1}}
    - {weight: 2, labels: {class: 1}, grid: {low: [-1.5, 0.5], high: [-0.5, 1.5], columns: 1, rows: 1}}
    - {weight: 3, labels: {class: 0}, grid: {low: [-1.5, -1.5], high: [-0.5, -0.5], columns: 1, rows: 1}}
    - {weight: 4, labels: {class: 1}, grid: {low: [0.5, -1.5], high: [1.5, -0.5], columns: 1, rows: 1}}
    label_noise: 0.05
vertices:
- name: u
  endpoint: unix:x
  inputs: {point: request.point}
  recipe: {name: half-plane, parameters: )",
      u, R"(}
- name: v
  endpoint: unix:x
  inputs: {point: request.point}
  recipe: {name: half-plane, parameters: )",
      v, R"(}
- name: w
  endpoint: unix:x
  inputs: {point: request.point, u: u.label, v: v.label}
  recipe: {name: table}
  references:
    bayes: {name: bayes}
    optimal: {name: optimal}
    optimal_in_class: {name: optimal-in-class, parameters: {hypotheses: table}}
    optimal_partner: {name: optimal-partner, parameters: {input: v, family: half-planes}}
)");
  const absl::Status status = ParseYaml(yaml, "cells", system);
  EXPECT_TRUE(status.ok()) << status;
  return system;
}

TEST(DecompositionTest, LookupTableOverFourCells) {
  constexpr double kNoise = 0.05;
  const auto with_noise = [](double risk) { return kNoise + (1 - 2 * kNoise) * risk; };
  // Both say where they are: each cell is known.
  auto losses = Solve(FourCells("{normal: [1, 0]}", "{normal: [0, 1]}")).losses;
  EXPECT_THAT(losses.bayes, DoubleNear(kNoise, 1e-12));
  EXPECT_THAT(losses.optimal, DoubleNear(kNoise, 1e-12));
  EXPECT_THAT(*losses.partner, DoubleNear(kNoise, 1e-12));
  EXPECT_EQ(losses.numerical_error, 0);
  // Both say left or right: of the right cells (0.1 of 0, 0.4 of 1) the first is lost, of the left
  // (0.2 of 1, 0.3 of 0) the first. Another v would tell up from down.
  losses = Solve(FourCells("{normal: [1, 0]}", "{normal: [1, 0]}")).losses;
  EXPECT_THAT(losses.optimal, DoubleNear(with_noise(0.3), 1e-12));
  EXPECT_THAT(losses.optimal_in_class, DoubleNear(with_noise(0.3), 1e-12));
  EXPECT_THAT(losses.version, DoubleNear(with_noise(0.3), 1e-12));
  EXPECT_THAT(*losses.partner, DoubleNear(kNoise, 1e-12));
  // u says nothing; one half-plane can at best leave the lightest cell on the wrong side.
  losses = Solve(FourCells("{normal: [1, 0], offset: 9}", "{normal: [1, 0], offset: 9}")).losses;
  EXPECT_THAT(losses.optimal, DoubleNear(with_noise(0.4), 1e-12));
  EXPECT_THAT(*losses.partner, DoubleNear(with_noise(0.1), 1e-12));
  const v1::ErrorTerms terms = diagnosis::Decompose({losses});
  EXPECT_NEAR(terms.compatibility(), with_noise(0.4) - with_noise(0.1), 1e-12);
  EXPECT_NEAR(terms.excess_upstream(), with_noise(0.1) - kNoise, 1e-12);
  EXPECT_NEAR(terms.compatibility() + terms.excess_upstream(), terms.upstream(), 1e-12);
}

TEST(DecompositionTest, TruthDoesNotDependOnSeeds) {
  const auto once = RunProposal(PlanarSystem("figure4b"), 0, /*seed=*/0);
  const auto again = RunProposal(PlanarSystem("figure4b"), 0, /*seed=*/7);
  ASSERT_TRUE(once.ok() && again.ok());
  EXPECT_EQ(once->diagnoses[0].SerializeAsString(), again->diagnoses[0].SerializeAsString());
  // Half of the points are in cells of one label; v misses 1 of 5.
  EXPECT_NEAR(once->diagnoses[0].after().compatibility(), 0.2, 1e-9);
  EXPECT_NEAR(once->diagnoses[0].before().loss(), 0, 1e-9);
  EXPECT_EQ(once->diagnoses[0].cause(), "compatibility");
}

}  // namespace
}  // namespace backfire::testing
