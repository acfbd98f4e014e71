#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "orchestrator/cli/process.h"

namespace backfire::cli {

/// A server that must come up.
struct AwaitedServer {
  std::string name;
  std::string endpoint;  ///< gRPC target.
  ProcessId process;     ///< pid 0: not ours; its end can't be noticed.
  /// Whether it is a gateway, which serves nothing before the first release, so that any answer is
  /// enough; others must say SERVING. It is asked as CheckHealth has it.
  bool is_gateway = false;
};

/// Waits until every server answers its health check, one of them ended, `timeout` has passed, or
/// SIGINT or SIGTERM came, which the caller has blocked.
/// @param on_up  Called for each as it comes up, from the calling thread.
/// INTERNAL: a process ended; says which and how. DEADLINE_EXCEEDED: names those that did not
/// answer. CANCELLED: a signal came.
absl::Status AwaitServers(const std::vector<AwaitedServer>& servers, absl::Duration timeout,
                          const std::function<void(const AwaitedServer&)>& on_up);

/// A process and what messages call it.
struct NamedProcess {
  std::string name;
  ProcessId process;
};

/// Waits for SIGINT or SIGTERM (OK), which the caller has blocked, or the end of any of the
/// processes. INTERNAL: one ended; says which and how.
absl::Status AwaitSignalOrEnd(const std::vector<NamedProcess>& processes);

/// The last lines of a file, indented by two spaces; empty if it can't be read.
std::string LastLines(const std::string& path, int count);

}  // namespace backfire::cli
