#include "services/gateway/vertex_readiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Wanted = VertexReadiness::Wanted;

const Wanted kOld{"models/car/versions/1", "1111"};
const Wanted kNew{"models/car/versions/2", "2222"};

class VertexReadinessTest : public ::testing::Test {
 protected:
  VertexReadinessTest() {
    readiness_.SetLive({{"car", kOld}});
    readiness_.SetEndpoints("car", {"a:1", "b:1"});
  }
  void Probe(const Wanted& wanted, const std::string& endpoint, const absl::Status& status) {
    readiness_.Probed("car", wanted, endpoint, status, now_);
  }
  std::string Fault() { return readiness_.Faults(now_).at("car"); }

  VertexReadiness readiness_;
  VertexReadiness::Clock::time_point now_ =
      VertexReadiness::Clock::time_point() + std::chrono::hours(1);
};

TEST_F(VertexReadinessTest, NothingCanServeBeforeItHasProvedIt) {
  EXPECT_EQ(Fault(),
            "vertex car can't serve models/car/versions/1: a:1: it has not answered yet; b:1: it "
            "has not answered yet");
  EXPECT_FALSE(readiness_.NextExpiry(now_).has_value());
  Probe(kOld, "a:1", absl::UnavailableError("refused"));
  EXPECT_THAT(Fault(), HasSubstr("a:1: refused; b:1: it has not answered yet"));
}

TEST_F(VertexReadinessTest, OneEndpointSufficesForFiveSeconds) {
  Probe(kOld, "a:1", absl::UnavailableError("refused"));
  Probe(kOld, "b:1", absl::OkStatus());
  EXPECT_EQ(Fault(), "");
  EXPECT_EQ(readiness_.NextExpiry(now_), now_ + std::chrono::seconds(5));
  now_ += std::chrono::milliseconds(4999);
  Probe(kOld, "b:1", absl::DeadlineExceededError("hangs"));
  EXPECT_EQ(Fault(), "") << "one lost answer is no outage";
  now_ += std::chrono::milliseconds(1);
  EXPECT_EQ(Fault(), "vertex car can't serve models/car/versions/1: a:1: refused; b:1: hangs");
  EXPECT_FALSE(readiness_.NextExpiry(now_).has_value());
  Probe(kOld, "a:1", absl::OkStatus());
  EXPECT_EQ(Fault(), "");
}

TEST_F(VertexReadinessTest, ASwapIsNoOutageUnlessEachEndpointLacksTheNewVersion) {
  Probe(kOld, "a:1", absl::OkStatus());
  readiness_.SetLive({{"car", kNew}});
  EXPECT_EQ(Fault(), "");
  Probe(kOld, "a:1", absl::NotFoundError("of a probe that the swap overtook"));
  Probe(kNew, "a:1", absl::NotFoundError("no such version"));
  EXPECT_EQ(Fault(), "") << "the other may have it";
  Probe(kNew, "b:1", absl::NotFoundError("no such version"));
  EXPECT_EQ(Fault(),
            "vertex car can't serve models/car/versions/2: a:1: no such version; b:1: no such "
            "version");
  Probe(kNew, "b:1", absl::OkStatus());
  EXPECT_EQ(Fault(), "");
}

TEST_F(VertexReadinessTest, WhatWasProvedBeforeASwapCountsNoLongerThanItWouldHave) {
  Probe(kOld, "a:1", absl::OkStatus());
  now_ += std::chrono::seconds(3);
  readiness_.SetLive({{"car", kNew}});
  now_ += std::chrono::seconds(2);
  EXPECT_NE(Fault(), "");
}

TEST_F(VertexReadinessTest, ForgetsVerticesAndEndpointsThatHaveGone) {
  Probe(kOld, "a:1", absl::UnavailableError("refused"));
  readiness_.SetEndpoints("car", {"b:1"});
  Probe(kOld, "a:1", absl::OkStatus());
  EXPECT_EQ(Fault(), "vertex car can't serve models/car/versions/1: b:1: it has not answered yet");
  readiness_.SetEndpoints("car", {});
  EXPECT_THAT(Fault(), HasSubstr("its name leads to no address"));
  readiness_.SetLive({{"disparity", {"models/disparity/versions/1", ""}}});
  EXPECT_THAT(readiness_.Faults(now_), UnorderedElementsAre(Pair("disparity", HasSubstr("can't"))));
}

}  // namespace
}  // namespace backfire::gateway
