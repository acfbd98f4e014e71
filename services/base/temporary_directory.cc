#include "services/base/temporary_directory.h"

#include <errno.h>
#include <stdlib.h>

#include <string>
#include <system_error>
#include <utility>

#include "services/base/file.h"

namespace backfire {

namespace fs = std::filesystem;

absl::StatusOr<TemporaryDirectory> TemporaryDirectory::Make() {
  std::error_code error;
  const fs::path place = fs::temp_directory_path(error);
  if (error) return ErrnoToStatus(error.value(), "the directory that TMPDIR names");
  std::string pattern = (place / "backfire.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return ErrnoToStatus(errno, pattern);
  return TemporaryDirectory(pattern);
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory& TemporaryDirectory::operator=(TemporaryDirectory&& other) noexcept {
  std::swap(path_, other.path_);  // What this had goes with the other.
  return *this;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

}  // namespace backfire
