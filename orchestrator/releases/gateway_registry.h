#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "orchestrator/ledger/signal.h"
#include "orchestrator/releases/gateway_table.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::releases {

/// The table of gateways, for all threads: what changes it is news. Thread-safe.
class GatewayRegistry {
 public:
  /// @param clock, news  Borrowed.
  GatewayRegistry(std::chrono::milliseconds lease, const Clock& clock, ledger::Signal& news)
      : clock_(clock), news_(news), lease_(lease), table_(lease, clock.Steady()) {}

  std::chrono::milliseconds lease() const { return lease_; }
  /// What a gateway says of itself, and that its stream has ended.
  void Report(const v1::GatewayReport& report);
  void Disconnect(const std::string& gateway);
  /// Forgets gateways whose lease has run out.
  void Expire();
  /// Whether no gateway can serve a snapshot of an epoch before this one any more.
  bool AllBeyond(int64_t epoch) const;
  /// Those that may still, as they report.
  std::vector<std::string> Behind(int64_t epoch) const;
  /// By name.
  std::vector<v1::Gateway> List() const;

 private:
  const Clock& clock_;
  ledger::Signal& news_;
  const std::chrono::milliseconds lease_;
  mutable Mutex mutex_;
  GatewayTable table_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::releases
