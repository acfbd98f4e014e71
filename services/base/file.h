#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire {

/// Returns a file's content. NOT_FOUND, PERMISSION_DENIED, or INTERNAL, with the path and reason.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path);

/// Writes `content` so that a reader sees all of it or what was there before, also after a crash:
/// temporary name, fsync, rename, fsync of the directory. Creates missing parent directories.
/// RESOURCE_EXHAUSTED: the disk is full. Leaves nothing behind when it fails.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

/// Makes a directory and its parents; what exists already is fine.
absl::Status MakeDirectories(const std::filesystem::path& path);

/// Flushes a directory's entries to disk, so that a rename in it survives a crash.
absl::Status SyncDirectory(const std::filesystem::path& path);

/// Turns an `errno` value into a status: ENOENT NOT_FOUND, EACCES PERMISSION_DENIED, ENOSPC
/// and the like RESOURCE_EXHAUSTED, else INTERNAL; the message is `what`, ": ", and the system's
/// text.
absl::Status ErrnoToStatus(int error_number, std::string_view what);

}  // namespace backfire
