#include "orchestrator/verdict/behrens_fisher.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <string>

namespace backfire::verdict {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Expected values: tables of Student's t distribution.
TEST(StudentTest, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(StudentQuantile(0.975, 1), 12.7062, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, 4), 2.7764, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.95, 4), 2.1318, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, 10), 2.2281, 1e-4);
  EXPECT_NEAR(StudentQuantile(0.975, kInfinity), 1.95996, 1e-5);
}

TEST(StudentTest, TailsAreThoseOfTheTables) {
  EXPECT_NEAR(StudentUpperTail(2.1318, 4), 0.05, 1e-5);
  EXPECT_NEAR(StudentUpperTail(-2.1318, 4), 0.95, 1e-5);
  EXPECT_EQ(StudentUpperTail(0, 7.3), 0.5);
  EXPECT_NEAR(StudentUpperTail(1.95996, kInfinity), 0.025, 1e-6);
  EXPECT_EQ(StudentUpperTail(kInfinity, 4), 0);
  EXPECT_EQ(StudentUpperTail(-kInfinity, 4), 1);
}

// Two Cauchy variables, weighted, are a Cauchy variable: its scale is the weights' sum.
TEST(BehrensFisherTest, OfOneDegreeOfFreedomIsCauchy) {
  for (const double share : {1e-6, 0.1, 0.5, 0.9}) {
    const BehrensFisher error(share, 1, 1 - share, 1);
    const double scale = std::sqrt(share) + std::sqrt(1 - share);
    for (const double x : {-30.0, -1.0, 0.0, 0.3, 2.0, 50.0, 1e6}) {
      const double tail = 0.5 - std::atan(x / scale) / std::acos(-1.0);
      EXPECT_NEAR(error.UpperTail(x), tail, 1e-13) << share << " " << x;
    }
    EXPECT_NEAR(error.UpperQuantile(0.25) / scale, 1, 1e-12);
    EXPECT_NEAR(error.UpperQuantile(1e-4) / (scale / std::tan(std::acos(-1.0) * 1e-4)), 1, 1e-9);
  }
}

struct ConvolutionCase {
  std::string name;
  double variance1, freedom1, variance2, freedom2, x, tail;
};
class ConvolutionTest : public ::testing::TestWithParam<ConvolutionCase> {};

TEST_P(ConvolutionTest, HasTheTailOfAnotherImplementation) {
  const ConvolutionCase& row = GetParam();
  const BehrensFisher error(row.variance1, row.freedom1, row.variance2, row.freedom2);
  EXPECT_NEAR(error.UpperTail(row.x), row.tail, 1e-12);
  EXPECT_NEAR(error.UpperTail(-row.x), 1 - row.tail, 1e-12);
  EXPECT_NEAR(error.UpperQuantile(row.tail) / row.x, 1, 1e-6);
  const BehrensFisher swapped(row.variance2, row.freedom2, row.variance1, row.freedom1);
  EXPECT_NEAR(swapped.UpperTail(row.x), row.tail, 1e-12);
}

// Expected values: golden/verdict_reference.py, which convolves.
INSTANTIATE_TEST_SUITE_P(
    Reference, ConvolutionTest,
    ::testing::Values(
        ConvolutionCase{"FiveReplicates", 0.5, 4.0, 0.5, 165.972, 2.0, 0.0442769192999477},
        ConvolutionCase{"MostlyTraining", 0.9, 4.0, 0.1, 165.972, 9.0, 0.000348477470133336},
        ConvolutionCase{"MostlyExamples", 0.1, 4.0, 0.9, 165.972, 3.5, 0.000875871069132777},
        ConvolutionCase{"TwoReplicates", 0.3, 1.0, 0.7, 99.0, 12.0, 0.0145916110884477},
        ConvolutionCase{"FewExamples", 0.3, 4.0, 0.7, 2.5, 6.0, 0.00560864758970359},
        ConvolutionCase{"LessThanOneDegree", 0.4, 1.0, 0.6, 0.83, 40.0, 0.0167707958853851},
        ConvolutionCase{"Many", 0.4, 49.0, 0.6, 900.0, 3.0, 0.00156073000869865},
        ConvolutionCase{"AlmostOnePart", 1.0, 9.0, 1e-08, 99.0, 4.0, 0.00155521417434983},
        ConvolutionCase{"Middle", 0.5, 4.0, 0.5, 99.0, 0.1, 0.463337428106761}),
    [](const auto& info) { return info.param.name; });

TEST(BehrensFisherTest, OfOnePartIsStudents) {
  for (const double x : {-1.0, 0.0, 2.5, kInfinity}) {
    EXPECT_DOUBLE_EQ(BehrensFisher(4, 7, 0, 3).UpperTail(x), StudentUpperTail(x / 2, 7));
    EXPECT_DOUBLE_EQ(BehrensFisher(0, 7, 4, 3).UpperTail(x), StudentUpperTail(x / 2, 3));
  }
  EXPECT_NEAR(BehrensFisher(4, 7, 0, 3).UpperQuantile(0.01), 2 * StudentQuantile(0.99, 7), 1e-9);
}

TEST(BehrensFisherTest, WithoutNoiseIsAtZero) {
  const BehrensFisher error(0, 4, 0, 99);
  EXPECT_EQ(error.UpperTail(-1e-300), 1);
  EXPECT_EQ(error.UpperTail(0), 0);
  EXPECT_EQ(error.UpperQuantile(0.01), 0);
}

TEST(BehrensFisherTest, QuantilesInvertTails) {
  for (const double share : {0.0, 1e-9, 0.2, 0.8, 1.0}) {
    for (const double freedom : {1.0, 4.0, 99.0}) {
      const BehrensFisher error(share, freedom, 1 - share, 151.3);
      for (const double p : {0.3, 0.05, 2.5e-4, 1e-9, 1 - 0.05}) {
        EXPECT_NEAR(error.UpperTail(error.UpperQuantile(p)) / p, 1, 1e-9);
      }
    }
  }
}

TEST(BehrensFisherTest, UnitsDoNotMatter) {
  const double quantile = BehrensFisher(0.3, 4, 0.7, 120).UpperQuantile(0.001);
  for (const double unit : {1e-80, 1e80}) {
    const BehrensFisher error(0.3 * unit * unit, 4, 0.7 * unit * unit, 120);
    EXPECT_NEAR(error.UpperQuantile(0.001) / unit / quantile, 1, 1e-9);
  }
}

// The size of the test that it replaces, Welch-Satterthwaite's, is what harm was called by too
// often.
TEST(BehrensFisherTest, IsWiderThanSatterthwaitesApproximationInTheFarTail) {
  const double a = 0.9, e = 0.1, examples = 150;
  const double freedom = 1 / (a * a / 4 + e * e / examples);
  EXPECT_GT(BehrensFisher(a, 4, e, examples).UpperQuantile(2.5e-4),
            1.2 * StudentQuantile(1 - 2.5e-4, freedom));
}

}  // namespace
}  // namespace backfire::verdict
