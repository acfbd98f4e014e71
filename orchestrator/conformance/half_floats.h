#pragma once

#include <cstdint>

namespace backfire::conformance {

/// Numbers of two bytes, as their bits: IEEE 754's binary16, and bfloat16, a float's upper half.
double FromFp16(uint16_t bits);
double FromBf16(uint16_t bits);
/// The nearest number of the type; infinity beyond its largest.
uint16_t ToFp16(double number);
/// The next towards 0.
uint16_t ToBf16(double number);

}  // namespace backfire::conformance
