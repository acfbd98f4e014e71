#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::runtime {

/// The metadata that carries a token: `authorization: Bearer TOKEN`.
inline constexpr char kAuthorization[] = "authorization";

/// The token of a file's text: its only line. INVALID_ARGUMENT: it hasn't 32 to 4096 characters of
/// [A-Za-z0-9._~+/=-], which are those of RFC 6750.
absl::StatusOr<std::string> ParseToken(const std::string& text);

/// The value of `authorization` for a token.
std::string BearerOf(std::string_view token);

/// The token of such a value; empty: it is none.
std::string_view TokenOf(std::string_view authorization);

/// Makes a file of 256 random bits, which only its owner may read, unless there is one.
absl::Status MakeTokenFile(const std::filesystem::path& path);

}  // namespace backfire::runtime
