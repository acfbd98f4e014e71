#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz_entry.h"
#include "tests/support/temporary_directory.h"

namespace backfire {

/// An input as a file in a folder of its own, for parsers that open theirs themselves.
class FuzzFile {
 public:
  explicit FuzzFile(const std::string& name) : path_(directory_ / name) {}
  void Write(std::string_view content) const {
    const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    Require(file >= 0);
    const auto size = static_cast<ssize_t>(content.size());
    // In this order: a file that is cut to nothing first has ext4 wait for the disk.
    Require(::write(file, content.data(), content.size()) == size && ::ftruncate(file, size) == 0);
    ::close(file);
  }
  std::filesystem::path path() const { return path_; }
  std::filesystem::path folder() const { return directory_.path(); }

 private:
  testing::TemporaryDirectory directory_;
  std::filesystem::path path_;
};

}  // namespace backfire
