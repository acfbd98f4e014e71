#include "orchestrator/releases/gateway_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace backfire::releases {

absl::Status CheckReport(const v1::GatewayReport& report) {
  constexpr int64_t kMostRequests = 1'000'000;
  const double seconds = report.oldest_request_seconds();
  if (report.epoch() < 0 || report.oldest_epoch() < 0 || report.requests_in_flight() < 0 ||
      report.requests_in_flight() > kMostRequests || !(seconds >= 0) || !std::isfinite(seconds)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a gateway's epoch, oldest_epoch, requests_in_flight and oldest_request_seconds must be >= "
        "0, and no more than it can have: got ",
        report.epoch(), ", ", report.oldest_epoch(), ", ", report.requests_in_flight(), " and ",
        seconds));
  }
  return absl::OkStatus();
}

bool GatewayTable::Report(const v1::GatewayReport& report, Time now) {
  if (report.leaving()) return gateways_.erase(report.gateway()) > 0;
  const auto [entry, added] = gateways_.try_emplace(report.gateway());
  const v1::GatewayReport& before = entry->second.report;
  const bool news = added || !entry->second.connected || before.epoch() != report.epoch() ||
                    before.oldest_epoch() != report.oldest_epoch();
  entry->second = {report, now + lease_, true};
  return news;
}

void GatewayTable::Disconnect(const std::string& gateway) {
  const auto entry = gateways_.find(gateway);
  if (entry != gateways_.end()) entry->second.connected = false;
}

bool GatewayTable::Expire(Time now) {
  bool expired = false;
  for (auto entry = gateways_.begin(); entry != gateways_.end();) {
    if (entry->second.expiry > now) {
      ++entry;
      continue;
    }
    entry = gateways_.erase(entry);
    expired = true;
  }
  return expired;
}

std::vector<std::string> GatewayTable::Behind(int64_t epoch, Time now) const {
  std::vector<std::string> behind;
  for (const auto& [name, entry] : gateways_) {
    const v1::GatewayReport& report = entry.report;
    const bool drained = report.oldest_epoch() == 0 || report.oldest_epoch() >= epoch;
    if (entry.expiry > now && (report.epoch() < epoch || !drained)) behind.push_back(name);
  }
  return behind;
}

bool GatewayTable::AllBeyond(int64_t epoch, Time now) const {
  return now >= start_ + lease_ && Behind(epoch, now).empty();
}

std::vector<v1::Gateway> GatewayTable::List(Time now) const {
  std::vector<v1::Gateway> gateways;
  for (const auto& [name, entry] : gateways_) {
    v1::Gateway& gateway = gateways.emplace_back();
    gateway.set_name(name);
    gateway.set_epoch(entry.report.epoch());
    gateway.set_oldest_epoch(entry.report.oldest_epoch());
    gateway.set_oldest_request_seconds(entry.report.oldest_request_seconds());
    gateway.set_requests_in_flight(entry.report.requests_in_flight());
    gateway.set_connected(entry.connected);
    const std::chrono::duration<double> left = entry.expiry - now;
    gateway.set_lease_seconds_left(std::max(0.0, left.count()));
  }
  return gateways;
}

}  // namespace backfire::releases
