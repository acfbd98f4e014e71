// A part of `./dev bench verdict` that takes seconds: all that moves the chance of a false alarm,
// crossed.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/sufficient_simulation.h"

namespace backfire::verdict {
namespace {

using testing::CriticalValues;
using testing::SufficientSimulation;

constexpr double kAlpha = 0.05;
constexpr int kDraws = 4000;

class CrossedTest : public ::testing::TestWithParam<int> {};

// Of losses that are worse by just their margin, and independent: Holm's correction has least slack
// then.
TEST_P(CrossedTest, FalseAlarmsInAFamilyStayBelowAlpha) {
  const SufficientSimulation simulation(GetParam(), /*examples=*/200, /*resamples=*/1000, kDraws,
                                        1);
  for (const int family : {1, 11, 201}) {
    const CriticalValues critical = simulation.At(kAlpha / family);
    for (const double training : {0.0, 0.1, 0.5, 0.9, 1.0}) {
      for (const double interaction : {0.0, 0.5, 0.9}) {
        const double one = simulation.Rejections(critical, {training, interaction}, {0})[0];
        EXPECT_LE(1 - std::pow(1 - one, family), kAlpha + 0.002)
            << family << " losses, training " << training << ", interaction " << interaction;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Replicates, CrossedTest, ::testing::Values(5, 10));

// What a single source of noise leaves is Student's t test, whose size and power are known.
TEST(SufficientSimulationTest, OfOneSourceIsStudentsTest) {
  const SufficientSimulation simulation(5, 200, 1000, kDraws, 1);
  // Power of a one-sided t test of 4 degrees of freedom: scipy.stats.nct.sf(2.13185, 4, 3.03975).
  const std::vector<double> power =
      simulation.Rejections(simulation.At(kAlpha), {1, 0}, {0, 3.0397509603});
  EXPECT_NEAR(power[0], 0.05, 0.001);
  EXPECT_NEAR(power[1], 0.8, 0.002);
}

// The measure itself can fail: taken from t of all degrees of freedom, a far tail is too light.
TEST(SufficientSimulationTest, SeesWhatIsLost) {
  const SufficientSimulation simulation(5, 200, 1000, kDraws, 1);
  const double one = simulation.Rejections(simulation.At(10 * kAlpha / 201), {0.95, 0}, {0})[0];
  EXPECT_GT(1 - std::pow(1 - one, 201), 0.2);
}

}  // namespace
}  // namespace backfire::verdict
