#pragma once

#include <filesystem>
#include <utility>

#include "absl/status/statusor.h"

namespace backfire {

/// A directory that is gone, with all that is in it, with the object. Its path is short, so that
/// unix sockets fit in it.
class TemporaryDirectory {
 public:
  /// Makes one where the system keeps such, which the environment variable TMPDIR says.
  /// Fails as ErrnoToStatus says, naming the place.
  static absl::StatusOr<TemporaryDirectory> Make();

  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // Empty: it was moved from.
};

}  // namespace backfire
