#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::cli {

/// Names a process for as long as the machine runs: pids are used again.
struct ProcessId {
  pid_t pid = 0;
  int64_t start_ticks = 0;  ///< Field 22 of /proc/PID/stat.
};

/// How a process is started.
struct SpawnOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;  ///< Without the program.
  std::filesystem::path log;           ///< Appended to; gets standard output and error.
  /// Ends the process when the thread that spawned it ends. Otherwise it lives on alone.
  bool end_with_parent = false;
  /// Variables `NAME=VALUE` that it has beside, or instead of, those of this process.
  std::vector<std::string> environment;
};

/// Starts a process in a session of its own, so that a terminal's Ctrl-C does not reach it, with an
/// empty signal mask and standard input from /dev/null. Returns once the program runs.
/// NOT_FOUND, PERMISSION_DENIED: the program can't be run, or the log can't be written.
absl::StatusOr<ProcessId> Spawn(const SpawnOptions& options);

/// The start time of a process. NOT_FOUND: there is none, or it has ended and waits to be reaped.
absl::StatusOr<int64_t> StartTicks(pid_t pid);

/// Whether just this process still runs. A zombie does not.
bool IsRunning(const ProcessId& process);

/// Ends processes: SIGTERM to each, and SIGKILL to those that still run after `grace`. Never
/// touches a process that merely has the pid. Returns once all have ended.
/// INTERNAL: one did not end. PERMISSION_DENIED: it is not ours.
absl::Status Terminate(const std::vector<ProcessId>& processes, std::chrono::milliseconds grace);

/// How a child ended, in words: `exited with code 1`, `was killed by Aborted`. Reaps it. Empty if
/// it still runs or is not our child.
std::string DescribeEnd(const ProcessId& child);

/// A descriptor that becomes readable when a process ends: a pidfd. Owns it.
class ProcessWatch {
 public:
  /// NOT_FOUND: the process has ended.
  static absl::StatusOr<ProcessWatch> Open(const ProcessId& process);
  ProcessWatch(ProcessWatch&& other) noexcept;
  ProcessWatch& operator=(ProcessWatch&& other) noexcept;
  ~ProcessWatch();

  int descriptor() const { return descriptor_; }
  absl::Status Signal(int signal) const;

 private:
  explicit ProcessWatch(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace backfire::cli
