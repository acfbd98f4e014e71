#include "orchestrator/retention/retention_keeper.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "absl/time/time.h"
#include "orchestrator/commands/prune.h"

namespace backfire::retention {
namespace {

// How late what only the time lets go may go, and how soon a pass that failed is tried again.
constexpr absl::Duration kInterval = absl::Minutes(1);

}  // namespace

void RetentionKeeper::Start() {
  thread_ = std::thread([this] {
    while (true) {
      const int64_t seen = ledger_.changes().count();
      RunOnce();
      if (!ledger_.changes().Wait(seen, kInterval)) return;
    }
  });
}

void RetentionKeeper::Stop() {
  if (thread_.joinable()) thread_.join();
}

RetentionKeeper::Circumstances RetentionKeeper::Look(const records::State& state,
                                                     const v1::Retention& retention) {
  Circumstances seen;
  auto& [limits, open, releases] = seen;
  limits = retention.SerializeAsString();
  for (const auto& [number, update] : state.updates) open.insert(number);
  for (const auto& [number, release] : *state.releases) releases[number] = release->release.state();
  return seen;
}

void RetentionKeeper::RunOnce() {
  MutexLock lock(mutex_);
  const auto state = ledger_.state();
  const records::SystemRevision* system = state->current_system();
  if (system == nullptr || !system->system().has_retention()) return;
  const v1::Retention& retention = system->system().retention();
  const absl::Time now = clock_.Now();
  const int64_t minute = absl::ToUnixSeconds(now) / 60;
  Circumstances circumstances = Look(*state, retention);
  // This is asked with every step of an update; what follows reads the history, and asks services.
  if (circumstances == seen_ && minute == seen_minute_) return;
  seen_ = circumstances;
  seen_minute_ = minute;
  const auto found = commands::FindLetGo(ledger_.history(), retention, now);
  absl::Status status = found.status();
  if (found.ok()) {
    if (found->updates.empty()) return;
    std::pair<Circumstances, std::set<int64_t>> pass(std::move(circumstances), found->updates);
    if (pass == done_) return;
    // Releases that it gives up are news once they are retired, and their versions go then.
    const auto pruned = pruner_.Prune(v1::PruneUpdatesRequest(), std::chrono::seconds(0));
    status = pruned.status();
    if (pruned.ok()) {
      done_ = std::move(pass);
      if (pruned->releases_size() > 0 || pruned->versions_size() > 0) {
        spdlog::info("retention state=LET_GO releases={} versions={} bytes={}",
                     pruned->releases_size(), pruned->versions_size(), pruned->bytes());
      }
    }
  }
  const std::string error(status.message());
  if (!status.ok() && !absl::IsCancelled(status) && error != error_) {
    spdlog::warn("retention state=HELD_UP error=\"{}\"", error);
  }
  error_ = error;
}

}  // namespace backfire::retention
