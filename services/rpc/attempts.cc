#include "services/rpc/attempts.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"

namespace backfire::runtime {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestPause(100), kLongestPause(5000);
// Of an attempt when time is up: what is there answers in it.
constexpr absl::Duration kShortestAttempt = absl::Milliseconds(100);

uint64_t SeedOf(const std::string& key) {
  uint64_t seed = 0;
  for (const char c : key) seed = SplitMix64(seed ^ static_cast<unsigned char>(c));
  return seed;
}

}  // namespace

// CANCELLED: by the other side, which ends.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsCancelled(status);
}

Attempts::Attempts(const Patience& patience, const std::function<bool()>& interrupted)
    : timeout_(absl::ToChronoMilliseconds(patience.timeout)),
      until_(patience.until),
      interrupted_(interrupted),
      jitter_(SeedOf(patience.key)) {
  Renew();
}

bool Attempts::Wait() {
  const auto now = Clock::now(), end = std::min(since_ + timeout_, until_);
  ++count_;
  if (now >= end || interrupted_()) return false;
  const auto pause = std::chrono::duration_cast<milliseconds>(backoff_ * jitter_.Uniform(0.5, 1.0));
  const auto left = std::chrono::duration_cast<milliseconds>(end - now);
  // The last attempt is made when the time is up, and not once a moment until then.
  WaitUnlessCancelled(std::min(pause, left) + milliseconds(1), interrupted_);
  backoff_ = std::min(backoff_ * 2, kLongestPause);
  return !interrupted_();
}

absl::Duration Attempts::WorkTimeout(absl::Duration most) const {
  if (until_ == Clock::time_point::max()) return most;
  return std::clamp(absl::FromChrono(until_ - Clock::now()), kShortestAttempt, most);
}

absl::Duration Attempts::AttemptTimeout(absl::Duration most) const {
  most = WorkTimeout(most);
  if (timeout_ == milliseconds(0)) return most;
  return std::clamp(absl::FromChrono(since_ + timeout_ - Clock::now()),
                    std::min(kShortestAttempt, most), most);
}

void Attempts::Renew() {
  backoff_ = kShortestPause;
  since_ = Clock::now();
  count_ = 0;
}

absl::Status Attempts::Explain(const absl::Status& last, const std::string& endpoint) const {
  if (!IsTransient(last)) return Annotate(last, endpoint);
  const std::chrono::duration<double> away = Clock::now() - since_;
  return absl::Status(
      last.code(), absl::StrFormat("%s: did not answer for %.1f s, %d attempts; the last error: %s",
                                   endpoint, away.count(), count_, std::string(last.message())));
}

}  // namespace backfire::runtime
