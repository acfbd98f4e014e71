#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::runtime {

/// Where a server listens, or is reached, by TCP.
struct HostPort {
  std::string host;  ///< Without the brackets of an IPv6 address.
  int port = 0;
};

/// Parses `localhost:7001` or `[::1]:7001`. INVALID_ARGUMENT: something else, or a port that isn't
/// 0 to 65535.
absl::StatusOr<HostPort> ParseHostPort(const std::string& text);

/// Whether it is `unix:PATH`.
bool IsUnix(const std::string& target);

/// The path of `unix:PATH`.
std::string UnixPath(const std::string& target);

/// INVALID_ARGUMENT: no server can listen at `unix:PATH`, and no client reach it, as the path is
/// empty or longer than the 107 bytes that the kernel takes (unix(7), sun_path).
absl::Status CheckUnixPath(const std::string& target);

/// What gRPC's clients take for a target: `unix:PATH` as the URI that it is to them, so that a path
/// may have spaces and whatever else a URI may not; anything else as it is.
std::string ChannelTarget(const std::string& target);

/// Whether what goes to `target`, or comes to a server that listens there, stays on this machine: a
/// unix socket, localhost, 127.0.0.0/8 or [::1].
bool IsLocal(const std::string& target);

}  // namespace backfire::runtime
