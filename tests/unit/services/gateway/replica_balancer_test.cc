#include "services/gateway/replica_balancer.h"

#include <gtest/gtest.h>

namespace backfire::gateway {
namespace {

using Clock = ReplicaBalancer::Clock;

class ReplicaBalancerTest : public ::testing::Test {
 protected:
  std::string Begin(const std::set<std::string>& tried = {}) {
    return balancer_.Begin({"a", "b", "c"}, tried, now_);
  }
  ReplicaBalancer balancer_;
  Clock::time_point now_ = Clock::time_point() + std::chrono::hours(1);
};

TEST_F(ReplicaBalancerTest, TakesTurnsAmongEquals) {
  for (int round = 0; round < 3; ++round) {
    for (const char* expected : {"a", "b", "c"}) {
      EXPECT_EQ(Begin(), expected);
      balancer_.End(expected, true, now_);
    }
  }
}

TEST_F(ReplicaBalancerTest, TakesWhereFewestAreInFlight) {
  EXPECT_EQ(Begin(), "a");
  EXPECT_EQ(Begin(), "b");
  EXPECT_EQ(Begin(), "c");
  balancer_.End("b", true, now_);
  EXPECT_EQ(Begin(), "b");
  EXPECT_EQ(Begin(), "a");
}

TEST_F(ReplicaBalancerTest, NeverTakesOneTwiceForACall) {
  EXPECT_EQ(Begin({"a", "c"}), "b");
  EXPECT_EQ(Begin({"a", "b", "c"}), "");
}

TEST_F(ReplicaBalancerTest, AvoidsWhatFailedForAWhileUnlessAllDid) {
  EXPECT_EQ(Begin(), "a");
  balancer_.End("a", false, now_);
  for (int i = 0; i < 4; ++i) EXPECT_NE(Begin(), "a");
  EXPECT_EQ(Begin({"b", "c"}), "a");
  balancer_.End("a", false, now_);
  now_ += ReplicaBalancer::kAvoided;
  EXPECT_EQ(Begin(), "a");
}

}  // namespace
}  // namespace backfire::gateway
