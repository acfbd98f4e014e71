#include "services/gateway/replica_balancer.h"

#include <gtest/gtest.h>

namespace backfire::gateway {
namespace {

using Clock = ReplicaBalancer::Clock;
using Outcome = ReplicaBalancer::Outcome;

class ReplicaBalancerTest : public ::testing::Test {
 protected:
  std::string Begin(const std::set<std::string>& tried = {}) {
    return balancer_.Begin({"a", "b", "c"}, tried, now_);
  }
  // So that `a` has the fewest calls in flight.
  void LoadOthers() {
    for (int i = 0; i < 50; ++i) Begin({"a"});
  }
  ReplicaBalancer balancer_;
  Clock::time_point now_ = Clock::time_point() + std::chrono::hours(1);
};

TEST_F(ReplicaBalancerTest, TakesTurnsAmongEquals) {
  for (int round = 0; round < 3; ++round) {
    for (const char* expected : {"a", "b", "c"}) {
      EXPECT_EQ(Begin(), expected);
      balancer_.End(expected, Outcome::kServed, now_);
    }
  }
}

TEST_F(ReplicaBalancerTest, TakesWhereFewestAreInFlight) {
  EXPECT_EQ(Begin(), "a");
  EXPECT_EQ(Begin(), "b");
  EXPECT_EQ(Begin(), "c");
  balancer_.End("b", Outcome::kServed, now_);
  EXPECT_EQ(Begin(), "b");
  EXPECT_EQ(Begin(), "a");
}

TEST_F(ReplicaBalancerTest, NeverTakesOneTwiceForACall) {
  EXPECT_EQ(Begin({"a", "c"}), "b");
  EXPECT_EQ(Begin({"a", "b", "c"}), "");
}

TEST_F(ReplicaBalancerTest, AvoidsWhatFailedForAWhileUnlessAllDid) {
  EXPECT_EQ(Begin(), "a");
  balancer_.End("a", Outcome::kFailed, now_);
  for (int i = 0; i < 4; ++i) EXPECT_NE(Begin(), "a");
  EXPECT_EQ(Begin({"b", "c"}), "a");
  balancer_.End("a", Outcome::kServed, now_);
  EXPECT_EQ(Begin(), "a");
}

// A replica that refuses at once has the fewest calls in flight: it must not draw them all.
TEST_F(ReplicaBalancerTest, TriesWhatFailedByOneCallAtATimeAndLessAndLessOften) {
  LoadOthers();
  EXPECT_EQ(Begin(), "a");
  auto avoided = ReplicaBalancer::kAvoided;
  for (int i = 0; i < 8; ++i) {
    balancer_.End("a", Outcome::kFailed, now_);
    now_ += avoided - std::chrono::milliseconds(1);
    EXPECT_NE(Begin(), "a");
    now_ += std::chrono::milliseconds(1);
    EXPECT_EQ(Begin(), "a");
    EXPECT_NE(Begin(), "a");  // One is under way.
    avoided = std::min(2 * avoided, ReplicaBalancer::kLongestAvoided);
  }
  balancer_.End("a", Outcome::kServed, now_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Begin(), "a");
}

TEST_F(ReplicaBalancerTest, CallsThatFailTogetherAreOneFailure) {
  LoadOthers();
  EXPECT_EQ(Begin({"b", "c"}), "a");
  EXPECT_EQ(Begin({"b", "c"}), "a");
  balancer_.End("a", Outcome::kFailed, now_);
  balancer_.End("a", Outcome::kFailed, now_);
  now_ += ReplicaBalancer::kAvoided;
  EXPECT_EQ(Begin(), "a");
}

TEST_F(ReplicaBalancerTest, ACallThatWasCalledOffSaysNothing) {
  LoadOthers();
  EXPECT_EQ(Begin({"b", "c"}), "a");
  EXPECT_EQ(Begin({"b", "c"}), "a");
  balancer_.End("a", Outcome::kFailed, now_);
  balancer_.End("a", Outcome::kUnknown, now_);
  EXPECT_NE(Begin(), "a");
}

TEST_F(ReplicaBalancerTest, MayReturnUnlessAllHaveFailedForLong) {
  const std::vector<std::string> both = {"a", "b"};
  EXPECT_TRUE(balancer_.MayReturn(both, now_));
  const auto fail = [&](const std::string& endpoint) {
    EXPECT_EQ(balancer_.Begin({endpoint}, {}, now_), endpoint);
    balancer_.End(endpoint, Outcome::kFailed, now_);
  };
  fail("a");
  fail("b");
  EXPECT_TRUE(balancer_.MayReturn(both, now_));
  now_ += ReplicaBalancer::kLikelyRestart;
  EXPECT_FALSE(balancer_.MayReturn(both, now_));
  fail("a");  // Again: it is still the same outage.
  EXPECT_FALSE(balancer_.MayReturn(both, now_));
  EXPECT_EQ(balancer_.Begin({"a"}, {}, now_), "a");
  balancer_.End("a", Outcome::kServed, now_);
  fail("a");
  EXPECT_TRUE(balancer_.MayReturn(both, now_));
  EXPECT_FALSE(balancer_.MayReturn({"b"}, now_));
}

// As pods come and go, each with another address.
TEST_F(ReplicaBalancerTest, ForgetsOnlyWhatHasNoCallInFlight) {
  EXPECT_EQ(Begin(), "a");
  for (int i = 0; i < 5000; ++i) {
    const std::string endpoint = "10.0.0.1:" + std::to_string(i);
    EXPECT_EQ(balancer_.Begin({endpoint}, {}, now_), endpoint);
    balancer_.End(endpoint, Outcome::kFailed, now_);
  }
  // Of these only `a` has a call in flight, still.
  EXPECT_EQ(balancer_.Begin({"a", "10.0.0.1:0"}, {}, now_), "10.0.0.1:0");
  balancer_.End("a", Outcome::kServed, now_);
}

}  // namespace
}  // namespace backfire::gateway
