#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfire/v1/orchestrator.pb.h"

namespace backfire::releases {

/// Whether a gateway's numbers are some that it can have. INVALID_ARGUMENT: a negative one, seconds
/// that are none, or more requests than a process holds.
absl::Status CheckReport(const v1::GatewayReport& report);

/// What gateways serve, by what they report. Each report gives its gateway a lease: until that has
/// run out, the gateway must be taken to go on as it last said, even if nothing is heard of it.
/// Kept in memory only: after a start, gateways that are not known yet have a lease's time to
/// report. Takes the time from its caller, from a clock that does not jump. One thread.
class GatewayTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// @param start  When the process began.
  GatewayTable(std::chrono::milliseconds lease, Time start) : lease_(lease), start_(start) {}

  std::chrono::milliseconds lease() const { return lease_; }
  /// Notes a report; `leaving` forgets its gateway. True: it says something new.
  bool Report(const v1::GatewayReport& report, Time now);
  /// Notes that a gateway's stream has ended; its lease goes on.
  void Disconnect(const std::string& gateway);
  /// Forgets gateways whose lease has run out. True: there was one.
  bool Expire(Time now);
  /// Whether no gateway can serve a snapshot of an epoch before this one any more.
  bool AllBeyond(int64_t epoch, Time now) const;
  /// Those that may still, as they report.
  std::vector<std::string> Behind(int64_t epoch, Time now) const;
  /// By name.
  std::vector<v1::Gateway> List(Time now) const;

 private:
  struct Entry {
    v1::GatewayReport report;
    Time expiry;
    bool connected = true;
  };
  const std::chrono::milliseconds lease_;
  const Time start_;
  std::map<std::string, Entry> gateways_;
};

}  // namespace backfire::releases
