#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace backfire {

/// Most bytes that a file of a dataset may have unless its reader says less: a scan of ten million
/// points.
inline constexpr int64_t kMaxDataFileBytes = int64_t{256} << 20;

/// Returns the content of a file that somebody else named. Never waits: a pipe, a device or a
/// folder is INVALID_ARGUMENT, as is a path that can't be followed (too long, a loop of links), and
/// a file of more than `most` bytes, before it is read. Else as ReadFile.
absl::StatusOr<std::string> ReadRegularFile(const std::filesystem::path& path,
                                            int64_t most = kMaxDataFileBytes);

}  // namespace backfire
