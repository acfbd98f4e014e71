#include "orchestrator/cli/metrics_ports.h"

#include "absl/strings/str_cat.h"
#include "services/rpc/address.h"

namespace backfire::cli {
namespace {

constexpr int kAbove = 1000, kHighest = 65535;

/// The port of HOST:PORT; 0: it has none that metrics can be above.
int PortOf(const std::string& endpoint) {
  if (runtime::IsUnix(endpoint)) return 0;
  const auto parsed = runtime::ParseHostPort(endpoint);
  return parsed.ok() && parsed->port + kAbove <= kHighest ? parsed->port : 0;
}

}  // namespace

MetricsPorts::MetricsPorts(const std::string& gateway) {
  if (const int port = PortOf(gateway); port != 0) last_ = port + kAbove;
}

void MetricsPorts::LeaveOut(const std::string& endpoint) {
  if (const int port = PortOf(endpoint); port != 0) left_out_.insert({port, port + kAbove});
}

std::string MetricsPorts::Of(const std::string& endpoint) {
  if (!runtime::IsUnix(endpoint)) {
    const int port = PortOf(endpoint);
    if (port == 0) return "";
    return absl::StrCat(endpoint.substr(0, endpoint.rfind(':')), ":", port + kAbove);
  }
  if (last_ == 0) return "";
  do {
    ++last_;
  } while (left_out_.count(last_) > 0);
  return last_ <= kHighest ? absl::StrCat("localhost:", last_) : "";
}

}  // namespace backfire::cli
