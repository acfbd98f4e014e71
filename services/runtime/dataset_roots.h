#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::runtime {

/// The folders from which datasets may be read whose URIs somebody else sends. What a path leads to
/// counts, with every symbolic link followed, and not how it is written; a root may be a link
/// itself. It bounds whoever asks, not whoever may write into a root: he can put there what he
/// likes, also between a look and the reading. A value; by itself it has no root, and refuses every
/// path.
class DatasetRoots {
 public:
  DatasetRoots() = default;

  /// Refuses nothing: for paths of whoever started the program.
  static DatasetRoots Anywhere();
  /// NOT_FOUND: one of them is no directory. None: every path is refused.
  static absl::StatusOr<DatasetRoots> Under(std::vector<std::filesystem::path> roots);

  /// PERMISSION_DENIED: `path` leads out of the roots; names it, where it leads, the roots, and the
  /// flag that sets them. Whether anything is there is not told. Links are followed at each call,
  /// those of the roots as well: `current -> 2024-05` may be moved on.
  absl::Status Check(const std::filesystem::path& path) const;

 private:
  bool anywhere_ = false;
  std::vector<std::filesystem::path> roots_;  // As they were given, but absolute.
};

}  // namespace backfire::runtime
