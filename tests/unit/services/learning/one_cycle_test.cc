#include <gtest/gtest.h>

#include "services/learning/training_loop.h"

namespace backfire::learning {
namespace {

TEST(OneCycleTest, RisesAndFallsAlongHalfCosines) {
  TrainingSchedule schedule;
  schedule.steps = 100;
  schedule.learning_rate = 0.01;
  schedule.one_cycle = true;
  EXPECT_NEAR(LearningRate(schedule, 0), 0.001, 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 20), 0.0055, 1e-12) << "half-way up";
  EXPECT_NEAR(LearningRate(schedule, 40), 0.01, 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 70), 0.01 * (1 + 1e-5) / 2, 1e-12) << "half-way down";
  EXPECT_NEAR(LearningRate(schedule, 100), 1e-7, 1e-12);
  EXPECT_NEAR(Momentum(schedule, 0), 0.95, 1e-12);
  EXPECT_NEAR(Momentum(schedule, 40), 0.85, 1e-12);
  EXPECT_NEAR(Momentum(schedule, 100), 0.95, 1e-12);
}

TEST(OneCycleTest, OtherwiseMomentumStays) { EXPECT_EQ(Momentum(TrainingSchedule(), 7), 0.9); }

}  // namespace
}  // namespace backfire::learning
