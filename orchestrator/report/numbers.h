#pragma once

#include <string>

namespace backfire::report {

/// Four significant digits, and never fewer than the integer part has: `0.8123`, `-61.25`, `12345`;
/// `1.2e-05` below a thousandth. `-` for NaN: there is no such number.
std::string FormatNumber(double value);

/// The same with a sign, for differences: `+0.8123`.
std::string FormatSigned(double value);

/// ` (px)`: a unit after a name; nothing where there is none, or it is 1, as of a fraction.
std::string UnitSuffix(const std::string& unit);

/// A time span for people: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`. `-` for NaN or below 0.
std::string FormatSeconds(double seconds);

}  // namespace backfire::report
