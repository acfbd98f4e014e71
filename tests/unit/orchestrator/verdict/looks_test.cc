#include "orchestrator/verdict/looks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "orchestrator/verdict/behrens_fisher.h"
#include "services/base/random.h"

namespace backfire::verdict {
namespace {

double Bound(double level) { return StudentQuantile(1 - level, INFINITY); }

// Expected values: Jennison and Turnbull, "Group Sequential Methods", 2000, and the R package
// gsDesign (sfLDOF): three equal steps, one-sided 0.025.
TEST(LooksTest, BoundsAreThoseOfTheTables) {
  EXPECT_NEAR(Bound(Looks({1.0 / 3}).Level(0.025)), 3.7103, 1e-4);
  EXPECT_NEAR(Bound(Looks({1.0 / 3, 2.0 / 3}).Level(0.025)), 2.5114, 1e-4);
  EXPECT_NEAR(Bound(Looks({1.0 / 3, 2.0 / 3, 1}).Level(0.025)), 1.9930, 1e-4);
}

TEST(LooksTest, OneLookHasAllOfAlpha) {
  EXPECT_EQ(Looks({1}).Level(0.03), 0.03);
  EXPECT_EQ(Looks({1}).Overall(0.3), 0.3);
}

TEST(LooksTest, WhatBringsNothingNewSpendsNothing) {
  EXPECT_NEAR(Looks({1, 1}).Level(0.05), 0.05, 1e-12);
  EXPECT_NEAR(Looks({0.4, 0.4}).Level(0.05), Looks({0.4}).Level(0.05), 1e-12);
}

TEST(LooksTest, OverallInvertsLevel) {
  for (const std::vector<double>& fractions :
       {std::vector<double>{0.5}, {0.5, 1}, {0.9, 1}, {0.3, 0.7}, {0.3, 0.7, 1}}) {
    const Looks looks(fractions);
    for (const double alpha : {0.05, 0.001, 1e-6}) {
      EXPECT_NEAR(looks.Overall(looks.Level(alpha)) / alpha, 1, 1e-5);
    }
  }
}

// The promise itself, by simulation of a Brownian motion.
TEST(LooksTest, AllLooksTogetherAlarmAtAlpha) {
  constexpr int kPaths = 200000;
  for (const std::vector<double>& times :
       {std::vector<double>{0.5, 1}, {0.9, 1}, {0.4, 0.6, 1}, {0.97, 0.98, 1}}) {
    std::vector<double> bounds;
    for (size_t look = 1; look <= times.size(); ++look) {
      bounds.push_back(Bound(Looks({times.begin(), times.begin() + look}).Level(0.05)));
    }
    Random random(3, times.size());
    int alarms = 0;
    for (int path = 0; path < kPaths; ++path) {
      double at = 0, since = 0;
      bool alarm = false;
      for (size_t look = 0; look < times.size(); ++look) {
        at += std::sqrt(times[look] - since) * random.Normal();
        since = times[look];
        alarm = alarm || at / std::sqrt(since) >= bounds[look];
      }
      alarms += alarm ? 1 : 0;
    }
    // Four standard errors.
    EXPECT_NEAR(static_cast<double>(alarms) / kPaths, 0.05, 0.002);
  }
}

}  // namespace
}  // namespace backfire::verdict
