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

/// A process behind a name, `detector-replicas@10.0.0.7:7000`: where it is called, and the name
/// that its certificate must have, as nobody knows beforehand which address it will get.
struct NamedAddress {
  std::string name;     ///< Empty: the address says it all.
  std::string address;  ///< Any target of gRPC.
};

/// Takes a target apart. One without a name is all address.
NamedAddress ParseNamedAddress(const std::string& target);

}  // namespace backfire
