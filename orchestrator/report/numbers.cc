#include "orchestrator/report/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace backfire::report {
namespace {

int Decimals(double value) {
  const double size = std::abs(value);
  if (size < 1e-4) return 4;  // Zero, or nothing next to the losses that are compared.
  return std::clamp(3 - static_cast<int>(std::floor(std::log10(size))), 0, 4);
}

}  // namespace

std::string FormatNumber(double value) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return absl::StrFormat("%.*f", Decimals(value), value);
}

std::string FormatSigned(double value) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "+inf" : "-inf";
  return absl::StrFormat("%+.*f", Decimals(value), value);
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
