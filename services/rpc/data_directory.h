#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"

namespace backfire::runtime {

/// A directory that this process alone uses, for as long as the object lives; the kernel frees it
/// when the process dies, however it dies.
class DataDirectory {
 public:
  /// Makes the directory if it is missing. FAILED_PRECONDITION: another process uses it.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(const std::filesystem::path& path);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, int descriptor);
  const std::filesystem::path path_;
  const int descriptor_;
};

}  // namespace backfire::runtime
