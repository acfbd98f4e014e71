#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace backfire::runtime {

/// The targets behind `dns:NAME:PORT` (dns_target.h), of which gRPC itself would call one: one for
/// each address that NAME has, in ascending order, `NAME@10.0.0.7:7000`, `NAME@[fd00::7]:7000`;
/// none if there is no such name. Blocks for as long as the machine's resolver (getaddrinfo).
/// INVALID_ARGUMENT: malformed. UNAVAILABLE: nobody answers it.
absl::StatusOr<std::vector<std::string>> ResolveTarget(const std::string& target);

/// Knows the processes behind names as they come and go: a thread of its own resolves what was
/// asked for, again and again. What can't be resolved for a while stays as it was. Thread-safe.
class NameFollower {
 public:
  using Resolve =
      std::function<absl::StatusOr<std::vector<std::string>>(const std::string& target)>;

  /// @param resolve   ResolveTarget, or a test's. It may still run when this object has ended, and
  ///                  must then not be waited for.
  /// @param interval  From the end of one round to the start of the next.
  explicit NameFollower(Resolve resolve = ResolveTarget,
                        std::chrono::milliseconds interval = std::chrono::seconds(1));
  ~NameFollower();
  NameFollower(const NameFollower&) = delete;
  NameFollower& operator=(const NameFollower&) = delete;

  /// The targets to call: each `dns:NAME:PORT` replaced by those behind it.
  /// @param patience  How long to wait for names that were never asked for before.
  std::vector<std::string> Expand(const std::vector<std::string>& targets,
                                  absl::Duration patience = absl::ZeroDuration());

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace backfire::runtime
