#include "services/rpc/attempts.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"

namespace backfire::runtime {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestPause(100), kLongestPause(5000);

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
      interrupted_(interrupted),
      jitter_(SeedOf(patience.key)) {
  Renew();
}

bool Attempts::Wait() {
  const auto now = Clock::now();
  ++count_;
  if (now >= since_ + timeout_ || interrupted_()) return false;
  const auto pause = std::chrono::duration_cast<milliseconds>(backoff_ * jitter_.Uniform(0.5, 1.0));
  const auto left = std::chrono::duration_cast<milliseconds>(since_ + timeout_ - now);
  // The last attempt is made when the time is up, and not once a moment until then.
  WaitUnlessCancelled(std::min(pause, left) + milliseconds(1), interrupted_);
  backoff_ = std::min(backoff_ * 2, kLongestPause);
  return !interrupted_();
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
