#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace backfire::testing {

/// A program that a test runs; killed with the object, by its process id.
class ChildProcess {
 public:
  /// Starts it with standard error in the file `log`.
  ChildProcess(const std::vector<std::string>& command, const std::string& log);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal);
  /// Waits for its end, without taking note of it: the object's other methods stay usable
  /// meanwhile, from other threads, until Wait.
  void AwaitEnd() const;
  /// Waits for its end. Returns the exit code, or 128 + the signal that ended it.
  int Wait();
  /// SIGKILL, then Wait.
  void Kill();
  /// What it has written to standard error.
  std::string Log() const;

 private:
  const std::string log_;
  pid_t pid_ = -1;
};

/// Waits until the server at `target` answers at all, for at most a minute. False: it does not.
bool WaitUntilLive(const std::string& target);

/// What the server at `target` says of itself, or of one of its parts (gRPC health): `SERVING`,
/// `NOT_SERVING`, or the name of the call's error.
std::string Health(const std::string& target, const std::string& service);

/// Waits until the server at `target` says that it serves (gRPC health), for at most a minute.
/// False: it does not.
bool WaitUntilServing(const std::string& target);

/// The same, where `process` is that server. False: it does not, or the process has ended.
bool WaitUntilReady(const std::string& target, const ChildProcess& process);

}  // namespace backfire::testing
