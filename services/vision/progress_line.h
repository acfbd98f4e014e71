#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace backfire::vision {

/// Shows on standard error how far a long command is: one changing line on a terminal, else a line
/// now and then. One thread at a time.
class ProgressLine {
 public:
  /// @param doing  What is done to frames: `rendering`.
  explicit ProgressLine(std::string doing);
  void Show(int64_t done, int64_t total);

 private:
  const std::string doing_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace backfire::vision
