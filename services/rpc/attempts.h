#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/base/random.h"

namespace backfire::runtime {

/// How long to go on with a service that does not answer.
struct Patience {
  absl::Duration timeout = absl::Minutes(5);  ///< Since it answered last.
  /// Names the work: pauses between attempts grow and are scattered by it, so that many calls that
  /// wait for one service don't come back all at once.
  std::string key;
  /// When nobody waits any more: nothing goes on beyond it, whether the service answers or not.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

/// Whether the same call may succeed later: the service is away, full, or ends.
bool IsTransient(const absl::Status& status);

/// Decides how long to go on with a service that does not answer. Pauses double, from 0.1 to 5 s,
/// and last 50 to 100 % of that. Not thread-safe.
class Attempts {
 public:
  /// @param interrupted  Whether to give up at once; must outlive this.
  Attempts(const Patience& patience, const std::function<bool()>& interrupted);

  /// After an attempt that failed: waits a while. False: it has been away for longer than patience
  /// lasts, or `interrupted`.
  bool Wait();
  /// How long an attempt may take by which the service only shows that it is there: `most`, but no
  /// longer than patience lasts, of which a single attempt needs none.
  absl::Duration AttemptTimeout(absl::Duration most) const;
  /// How long an attempt may take that the service works on: `most`, but not beyond
  /// Patience::until.
  absl::Duration WorkTimeout(absl::Duration most) const;
  /// It answered, or was still there a moment ago: patience starts anew.
  void Renew();
  /// Why it was given up, for people: names the endpoint; of a transient error also how long it was
  /// away.
  absl::Status Explain(const absl::Status& last, const std::string& endpoint) const;

 private:
  using Clock = std::chrono::steady_clock;

  const std::chrono::milliseconds timeout_;
  const Clock::time_point until_;
  const std::function<bool()>& interrupted_;
  Random jitter_;
  std::chrono::milliseconds backoff_;
  Clock::time_point since_;
  int count_ = 0;
};

}  // namespace backfire::runtime
