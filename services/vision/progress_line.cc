#include "services/vision/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace backfire::vision {

ProgressLine::ProgressLine(std::string doing)
    : doing_(std::move(doing)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void ProgressLine::Show(int64_t done, int64_t total) {
  const auto now = std::chrono::steady_clock::now();
  const auto pause = std::chrono::milliseconds(terminal_ ? 100 : 10'000);
  if (now - last_ < pause && (done < total || !terminal_)) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::fprintf(stderr, "%s%s %lld/%lld frames, %.0f frames/s, %.0f s left%s",
               terminal_ ? "\r\033[K" : "", doing_.c_str(), static_cast<long long>(done),
               static_cast<long long>(total), static_cast<double>(done) / std::max(seconds, 1e-3),
               seconds / static_cast<double>(done) * static_cast<double>(total - done),
               terminal_ && done < total ? "" : "\n");
}

}  // namespace backfire::vision
