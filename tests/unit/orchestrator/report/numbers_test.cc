#include "orchestrator/report/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace backfire::report {
namespace {

TEST(FormatNumberTest, HasFourSignificantDigits) {
  EXPECT_EQ(FormatNumber(0.812345), "0.8123");
  EXPECT_EQ(FormatNumber(-61.2549), "-61.25");
  EXPECT_EQ(FormatNumber(1234.6), "1235");
  EXPECT_EQ(FormatNumber(12345.6), "12346");
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(0.00103), "0.001030");
  EXPECT_EQ(FormatNumber(0.0000123), "1.23e-05");
}

TEST(FormatNumberTest, SaysWhatIsNoNumber) {
  EXPECT_EQ(FormatNumber(std::nan("")), "-");
  EXPECT_EQ(FormatNumber(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(FormatSigned(std::nan("")), "-");
  EXPECT_EQ(FormatSigned(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(FormatSignedTest, ShowsTheSignOfAnIncrease) {
  EXPECT_EQ(FormatSigned(1.5), "+1.500");
  EXPECT_EQ(FormatSigned(-0.25), "-0.2500");
  EXPECT_EQ(FormatSigned(0), "0");
}

TEST(FormatSecondsTest, UsesTheUnitThatPeopleWould) {
  EXPECT_EQ(FormatSeconds(0.42), "0.4 s");
  EXPECT_EQ(FormatSeconds(9.97), "10 s");
  EXPECT_EQ(FormatSeconds(59.4), "59 s");
  EXPECT_EQ(FormatSeconds(59.6), "1 min 00 s");
  EXPECT_EQ(FormatSeconds(185), "3 min 05 s");
  EXPECT_EQ(FormatSeconds(7800), "2 h 10 min");
  EXPECT_EQ(FormatSeconds(-1), "-");
  EXPECT_EQ(FormatSeconds(std::nan("")), "-");
}

}  // namespace
}  // namespace backfire::report
