#include "orchestrator/releases/gateway_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace backfire::releases {
namespace {

using std::chrono::seconds;

class GatewayTableTest : public ::testing::Test {
 protected:
  static v1::GatewayReport Says(const char* name, int64_t epoch, int64_t oldest = 0) {
    v1::GatewayReport report;
    report.set_gateway(name);
    report.set_epoch(epoch);
    report.set_oldest_epoch(oldest);
    return report;
  }
  const GatewayTable::Time start_{};
  // Well after the start.
  const GatewayTable::Time now_ = start_ + seconds(100);
  GatewayTable table_{seconds(10), start_};
};

TEST_F(GatewayTableTest, WaitsAfterAStartForGatewaysThatItDoesNotKnow) {
  EXPECT_FALSE(table_.AllBeyond(1, start_));
  EXPECT_FALSE(table_.AllBeyond(1, start_ + seconds(9)));
  EXPECT_TRUE(table_.AllBeyond(1, start_ + seconds(10)));
}

TEST_F(GatewayTableTest, NumbersMustBeSomeThatAGatewayCanHave) {
  v1::GatewayReport report = Says("a", 3, 2);
  report.set_oldest_request_seconds(0.5);
  report.set_requests_in_flight(4);
  EXPECT_TRUE(CheckReport(report).ok());
  const auto refuses = [&report](const std::function<void(v1::GatewayReport&)>& change) {
    v1::GatewayReport changed = report;
    change(changed);
    return absl::IsInvalidArgument(CheckReport(changed));
  };
  EXPECT_TRUE(refuses([](auto& r) { r.set_epoch(-1); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_oldest_epoch(-1); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_requests_in_flight(-1); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_requests_in_flight(INT64_MAX); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_oldest_request_seconds(-1); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_oldest_request_seconds(NAN); }));
  EXPECT_TRUE(refuses([](auto& r) { r.set_oldest_request_seconds(INFINITY); }));
}

TEST_F(GatewayTableTest, WaitsForTheSlowestGateway) {
  table_.Report(Says("a", 3), now_);
  table_.Report(Says("b", 2), now_);
  EXPECT_TRUE(table_.AllBeyond(2, now_));
  EXPECT_FALSE(table_.AllBeyond(3, now_));
  table_.Report(Says("b", 3), now_);
  EXPECT_TRUE(table_.AllBeyond(3, now_));
}

TEST_F(GatewayTableTest, WaitsForTheOldestRequest) {
  table_.Report(Says("a", 3, 2), now_);
  EXPECT_TRUE(table_.AllBeyond(2, now_));
  EXPECT_FALSE(table_.AllBeyond(3, now_));
  table_.Report(Says("a", 3, 3), now_);
  EXPECT_TRUE(table_.AllBeyond(3, now_));
}

TEST_F(GatewayTableTest, AGatewayThatIsNotHeardOfCountsUntilItsLeaseHasRunOut) {
  table_.Report(Says("a", 1), now_);
  table_.Disconnect("a");
  EXPECT_FALSE(table_.List(now_)[0].connected());
  EXPECT_FALSE(table_.AllBeyond(2, now_ + seconds(9)));
  EXPECT_FALSE(table_.Expire(now_ + seconds(9)));
  EXPECT_TRUE(table_.AllBeyond(2, now_ + seconds(10)));
  EXPECT_TRUE(table_.Expire(now_ + seconds(10)));
  EXPECT_TRUE(table_.List(now_).empty());
}

TEST_F(GatewayTableTest, EachReportRenewsTheLease) {
  EXPECT_TRUE(table_.Report(Says("a", 1), now_));
  EXPECT_FALSE(table_.Report(Says("a", 1), now_ + seconds(8)));
  EXPECT_FALSE(table_.AllBeyond(2, now_ + seconds(17)));
  EXPECT_DOUBLE_EQ(table_.List(now_ + seconds(17))[0].lease_seconds_left(), 1);
}

TEST_F(GatewayTableTest, OneThatLeavesHoldsNothingUp) {
  table_.Report(Says("a", 1), now_);
  v1::GatewayReport leaving = Says("a", 1);
  leaving.set_leaving(true);
  EXPECT_TRUE(table_.Report(leaving, now_));
  EXPECT_TRUE(table_.AllBeyond(2, now_));
}

}  // namespace
}  // namespace backfire::releases
