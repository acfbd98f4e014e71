#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace backfire {

/// Turns the bytes of a text that other programs wrote into lines that end in `\n`, without
/// changing their number: UTF-8's byte-order mark is left out at the start of every line (files
/// that were joined have several), `\r\n` and `\r` become `\n`. A last line needs no end.
/// DATA_LOSS: UTF-16 or UTF-32, or a NUL byte (`where:LINE: ...`, with what to do).
absl::StatusOr<std::string> DecodeText(std::string_view bytes, std::string_view where);

/// Reads such a file: the one way to read labels, calibrations, lists of frames and tables of
/// points. ReadFile's errors; DATA_LOSS as DecodeText, with the path.
absl::StatusOr<std::string> ReadTextFile(const std::filesystem::path& path);

}  // namespace backfire
