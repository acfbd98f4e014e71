#include "orchestrator/report/when.h"

#include <gtest/gtest.h>

namespace backfire::report {
namespace {

constexpr int64_t kNow = 1'600'000'000;  // Sunday, 2020-09-13 12:26:40 UTC.

std::string Since(const std::string& text) {
  const auto since = ParseSince(text, absl::FromUnixSeconds(kNow));
  return since.ok() ? absl::FormatTime("%Y-%m-%d %H:%M:%S", *since, absl::UTCTimeZone())
                    : std::string(absl::StatusCodeToString(since.status().code()));
}

TEST(WhenTextTest, IsInUtcAndEmptyWhereUnset) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(WhenText(time), "");
  time.set_seconds(kNow);
  EXPECT_EQ(WhenText(time), "2020-09-13 12:26:40Z");
}

TEST(ParseSinceTest, TakesSpansDaysAndTimes) {
  EXPECT_EQ(Since("2h"), "2020-09-13 10:26:40");
  EXPECT_EQ(Since("90m"), "2020-09-13 10:56:40");
  EXPECT_EQ(Since("3d"), "2020-09-10 12:26:40");
  EXPECT_EQ(Since("today"), "2020-09-13 00:00:00");
  EXPECT_EQ(Since("yesterday"), "2020-09-12 00:00:00");
  EXPECT_EQ(Since("2020-08-31"), "2020-08-31 00:00:00");
  EXPECT_EQ(Since("2020-08-31 14:02"), "2020-08-31 14:02:00");
  EXPECT_EQ(Since("2020-09-13 12:26:40Z"), "2020-09-13 12:26:40") << "as WhenText writes it";
}

TEST(ParseSinceTest, RefusesWhatIsNoTimeOrToCome) {
  for (const char* wrong : {"", "tomorrow", "-2h", "2020-13-01", "5", "2021-01-01"}) {
    EXPECT_EQ(Since(wrong), "INVALID_ARGUMENT") << wrong;
  }
}

}  // namespace
}  // namespace backfire::report
