#include "orchestrator/page/axis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace backfire::page {
namespace {

v1::LossComparison Comparison(double difference, double low, double high, double margin) {
  v1::LossComparison one;
  one.set_difference(difference);
  one.set_interval_low(low);
  one.set_interval_high(high);
  one.set_margin(margin);
  return one;
}

TEST(UnitOfTest, IsTheMarginAndNever0) {
  EXPECT_EQ(UnitOf(Comparison(1, 0, 2, 0.5)), 0.5);
  EXPECT_EQ(UnitOf(Comparison(1, 0, 2, 0)), 1);
  EXPECT_EQ(UnitOf(Comparison(3, NAN, NAN, 0)), 3);
  EXPECT_EQ(UnitOf(Comparison(0, 0, 0, 0)), 1);
  EXPECT_EQ(UnitOf(Comparison(NAN, NAN, NAN, NAN)), 1);
}

TEST(AxisTest, ShowsAllThatWasFoundOnOneScale) {
  const v1::LossComparison first = Comparison(2, 1, 4, 1), second = Comparison(-10, -20, 10, 10);
  const Axis axis({&first, &second});
  EXPECT_FALSE(axis.logarithmic());
  EXPECT_GT(axis.At(-2), 0);
  EXPECT_LT(axis.At(4), 1);
  EXPECT_NEAR(axis.At(3) - axis.At(2), axis.At(1) - axis.At(0), 1e-12);
}

TEST(AxisTest, BendsWhereSomethingIsFarAway) {
  const v1::LossComparison far = Comparison(500, 400, 600, 1);
  const Axis axis({&far});
  EXPECT_TRUE(axis.logarithmic());
  EXPECT_LT(axis.At(600), 1);
  // The margin stays to be seen.
  EXPECT_GT(axis.At(1) - axis.At(0), 0.1);
  EXPECT_NEAR(axis.At(100) - axis.At(10), axis.At(10) - axis.At(1), 1e-12);
  for (double margins = -30; margins < 30; margins += 0.5) {
    EXPECT_LT(axis.At(margins), axis.At(margins + 0.5));
  }
}

TEST(AxisTest, TicksNameZeroAndTheMargin) {
  v1::LossComparison infinite = Comparison(INFINITY, -INFINITY, INFINITY, 1);
  const Axis axis({&infinite});
  int zero = 0, margin = 0;
  for (const Axis::Tick& tick : axis.Ticks()) {
    EXPECT_GE(tick.at, 0);
    EXPECT_LE(tick.at, 1);
    zero += tick.label == "0" ? 1 : 0;
    margin += tick.label == "margin" ? 1 : 0;
  }
  EXPECT_EQ(zero, 1);
  EXPECT_EQ(margin, 1);
}

}  // namespace
}  // namespace backfire::page
