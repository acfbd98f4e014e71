#include "tests/chaos/kill_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSubsetOf;

const Places kPassed = {
    {"orchestrator",
     {"step-start updates/1/train/a/0", "step-start updates/2/train/a/0",
      "step-started updates/2/train/a/0", "step-start updates/21/train/a/0"}},
    {"a",
     {"job-progress jobs/x/updates/2/train/a/0/1 training 1",
      "job-end jobs/x/updates/2/train/a/0/1",
      "job-progress jobs/x/updates/2/train/a/0/1 training 1", "outputs-finish f"}}};

TEST(KillPlanTest, TakesEveryBoundaryOfTheUpdateInOrder) {
  const Places plan = ChooseKills(kPassed, "updates/2", 0, 1);
  EXPECT_THAT(plan.at("orchestrator"),
              ElementsAre("step-start updates/2/train/a/0", "step-started updates/2/train/a/0"));
  EXPECT_THAT(plan.at("a"), ElementsAre("job-end jobs/x/updates/2/train/a/0/1"));
}

TEST(KillPlanTest, DrawsTheOthersBySeedAndEachOnce) {
  EXPECT_EQ(ChooseKills(kPassed, "updates/2", 2, 5), ChooseKills(kPassed, "updates/2", 2, 5));
  const Places all = ChooseKills(kPassed, "updates/2", 100, 5);
  EXPECT_EQ(all.at("orchestrator").size(), 4u);
  EXPECT_EQ(all.at("a").size(), 3u);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Places plan = ChooseKills(kPassed, "updates/2", 1, seed);
    EXPECT_EQ(plan.at("orchestrator").size() + plan.at("a").size(), 4u);
    EXPECT_THAT(plan.at("a"), IsSubsetOf(kPassed.at("a")));
  }
}

}  // namespace
}  // namespace backfire::chaos
