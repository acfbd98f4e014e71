#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#include "services/base/mutex.h"

namespace backfire::runtime {

/// When memory that was freed is given back to the system.
struct FreedMemoryOptions {
  std::chrono::milliseconds period{10'000};  ///< Between looks.
  /// The process rests if it took less than this share of one processor since the last look: what
  /// works would only have to take the memory again.
  double resting_share = 0.1;
  int64_t least_bytes = 16 << 20;  ///< Less is kept: it is soon taken again.
  /// Time on processors since it was given back, below which there is nothing new to give: looking
  /// through a fragmented heap takes time itself.
  std::chrono::milliseconds least_work{200};
};

/// Gives memory that was freed back to the system while the process rests, on a thread of its own.
/// The C library alone keeps it: what thousands of connections took, in small pieces between others
/// that stay, would be the process's for ever (and KeepFreedMemory says so on purpose, for what
/// comes again). Elsewhere than with glibc it does nothing.
class FreedMemory {
 public:
  explicit FreedMemory(const FreedMemoryOptions& options = {});
  ~FreedMemory();
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;

 private:
  void Run();

  const FreedMemoryOptions options_;
  Mutex mutex_;
  CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace backfire::runtime
