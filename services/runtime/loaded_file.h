#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::runtime {

/// The list of versions that serve, beside a model's `versions`: what it loads when it starts
/// again.
inline constexpr char kLoadedFile[] = "loaded";

/// Writes it, sealed (services/base/seal.h).
absl::Status WriteLoadedFile(const std::filesystem::path& path,
                             const std::vector<int64_t>& numbers);
/// Reads it; an older program's has no checksum. NOT_FOUND: there is none. DATA_LOSS: it is
/// damaged.
absl::StatusOr<std::vector<int64_t>> ReadLoadedFile(const std::filesystem::path& path);

}  // namespace backfire::runtime
