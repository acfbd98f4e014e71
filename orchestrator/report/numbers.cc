#include "orchestrator/report/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace backfire::report {
namespace {

/// `value` with four significant digits, after `sign` (empty or `+`), which 0 does not get.
std::string Format(double value, const std::string& sign) {
  if (std::isnan(value)) return "-";
  if (value == 0) return "0";
  const std::string prefix = value > 0 ? sign : "";
  if (std::isinf(value)) return value > 0 ? prefix + "inf" : "-inf";
  const double size = std::abs(value);
  if (size < 1e-3) return prefix + absl::StrFormat("%.3g", value);
  const int decimals = std::clamp(3 - static_cast<int>(std::floor(std::log10(size))), 0, 6);
  return prefix + absl::StrFormat("%.*f", decimals, value);
}

}  // namespace

std::string FormatNumber(double value) { return Format(value, ""); }

std::string FormatSigned(double value) { return Format(value, "+"); }

std::string UnitSuffix(const std::string& unit) {
  return unit.empty() || unit == "1" ? "" : absl::StrCat(" (", unit, ")");
}

std::string FormatSeconds(double seconds) {
  if (!(seconds >= 0) || std::isinf(seconds)) return "-";
  if (seconds < 9.95) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  return absl::StrFormat("%d h %02d min", whole / 3600, whole % 3600 / 60);
}

}  // namespace backfire::report
