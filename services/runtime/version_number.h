#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace backfire::runtime {

/// A version's number as it is printed: digits, without sign, space or leading zeros, so that a
/// version has one name. nullopt: anything else, or < 1.
inline std::optional<int64_t> ParseVersionNumber(const std::string& text) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < 1 || absl::StrCat(number) != text) {
    return std::nullopt;
  }
  return number;
}

}  // namespace backfire::runtime
