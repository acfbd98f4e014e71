#include "orchestrator/conformance/half_floats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace backfire::conformance {
namespace {

// Of binary16: 1 + 5 + 10 bits.
constexpr int kBias = 15, kMantissaBits = 10;
constexpr int kLeastExponent = -24;  // Of the smallest number there is.
constexpr uint16_t kSign = 0x8000, kInfinity = 0x7C00, kNan = 0x7E00, kMantissa = 0x03FF;

}  // namespace

double FromFp16(uint16_t bits) {
  const double sign = (bits & kSign) != 0 ? -1 : 1;
  const int exponent = (bits & kInfinity) >> kMantissaBits;
  const int mantissa = bits & kMantissa;
  if (exponent == 0) return sign * std::ldexp(mantissa, kLeastExponent);
  if (exponent < 31) {
    return sign * std::ldexp(mantissa + (1 << kMantissaBits), exponent - kBias - kMantissaBits);
  }
  return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                       : std::numeric_limits<double>::quiet_NaN();
}

double FromBf16(uint16_t bits) {
  const uint32_t whole = static_cast<uint32_t>(bits) << 16;
  float number;
  std::memcpy(&number, &whole, sizeof(number));
  return number;
}

uint16_t ToFp16(double number) {
  if (std::isnan(number)) return kNan;
  const uint16_t sign = std::signbit(number) ? kSign : 0;
  if (number == 0) return sign;
  if (std::isinf(number)) return sign | kInfinity;
  // Steps between neighbours are powers of two; below 2^-14 they are all the same.
  const int step = std::max(std::ilogb(number) - kMantissaBits, kLeastExponent);
  const double steps = std::nearbyint(std::ldexp(std::abs(number), -step));
  // A carry makes the next exponent by itself, and of the largest one infinity.
  const double bits = steps + std::ldexp(step - kLeastExponent, kMantissaBits);
  return sign | static_cast<uint16_t>(std::min(bits, double{kInfinity}));
}

uint16_t ToBf16(double number) {
  const auto narrow = static_cast<float>(number);
  uint32_t whole;
  std::memcpy(&whole, &narrow, sizeof(whole));
  return static_cast<uint16_t>(whole >> 16);
}

}  // namespace backfire::conformance
