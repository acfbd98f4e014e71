#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::fsck {

/// A file, or a group of them, that was looked at.
struct Finding {
  /// `store` (orchestrator.sqlite, or state.db of a service in Python), `version` (version.json and
  /// weights.bin), `job` (request.pb and job.pb), `loaded` (which versions serve) or `outputs`
  /// (kept outputs of a version on a split).
  std::string kind;
  std::filesystem::path
      path;  ///< Of the store's or outputs' file, or the version's or job's folder.
  /// OK: it is as it was written. DATA_LOSS: it is not. FAILED_PRECONDITION: a newer program made
  /// it. Others: it can't be read.
  absl::Status status;
};

/// Looks at all stores, versions, jobs and kept outputs below a folder, at every byte of them, and
/// changes nothing; they may be in use. Links are not followed. Files of older programs, which have
/// no checksums, are held against what else is known: a version's weights against its digest, a
/// row's message against its columns. Sorted by path. NOT_FOUND: there is no such folder.
absl::StatusOr<std::vector<Finding>> CheckFolder(const std::filesystem::path& folder);

}  // namespace backfire::fsck
