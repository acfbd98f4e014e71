#include "orchestrator/conformance/half_floats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

namespace backfire::conformance {
namespace {

// By hand, from the formats.
TEST(HalfFloatsTest, NumbersAreTheirBits) {
  for (const auto& [bits, number] : {std::pair<uint16_t, double>{0x3C00, 1.0},
                                     {0xC000, -2.0},
                                     {0x3555, 0.333251953125},
                                     {0x7BFF, 65504.0},
                                     {0x0001, 5.9604644775390625e-8},
                                     {0x0400, 6.103515625e-5},
                                     {0x0000, 0.0}}) {
    EXPECT_EQ(FromFp16(bits), number);
    EXPECT_EQ(ToFp16(number), bits);
  }
  for (const auto& [bits, number] :
       {std::pair<uint16_t, double>{0x3F80, 1.0}, {0xC000, -2.0}, {0x4049, 3.140625}}) {
    EXPECT_EQ(FromBf16(bits), number);
    EXPECT_EQ(ToBf16(number), bits);
  }
}

TEST(HalfFloatsTest, ThereAndBackIsTheSame) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double number = FromFp16(static_cast<uint16_t>(bits));
    if (std::isnan(number)) continue;
    EXPECT_EQ(ToFp16(number), bits);
  }
}

TEST(HalfFloatsTest, TheNearestIsTaken) {
  EXPECT_EQ(ToFp16(1 + 0.0004), 0x3C00);  // Steps of 1/1024.
  EXPECT_EQ(ToFp16(1 + 0.0006), 0x3C01);
  EXPECT_EQ(ToFp16(1.9999), 0x4000);  // Carried over.
  EXPECT_EQ(ToFp16(6.1e-5), 0x03FF);  // Below the last power of two.
  EXPECT_EQ(ToFp16(70000), 0x7C00);
  EXPECT_EQ(ToFp16(-std::numeric_limits<double>::infinity()), 0xFC00);
  EXPECT_TRUE(std::isnan(FromFp16(ToFp16(std::nan("")))));
  EXPECT_EQ(ToBf16(1.007), 0x3F80);  // Towards 0.
}

}  // namespace
}  // namespace backfire::conformance
