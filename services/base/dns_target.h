#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace backfire {

/// `dns:detector-replicas:7000`: every process behind a name. A headless Service of Kubernetes has
/// an address for each pod.
struct DnsTarget {
  std::string name;
  std::string port;
};

/// Whether an endpoint means to be one.
bool IsDnsTarget(const std::string& endpoint);

/// Reads `dns:NAME:PORT` or, as gRPC also writes it, `dns:///NAME:PORT`. INVALID_ARGUMENT: neither.
absl::StatusOr<DnsTarget> ParseDnsTarget(const std::string& endpoint);

}  // namespace backfire
