#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace backfire::cli {

/// What a server says of itself, or that it says nothing.
enum class Health { kServing, kNotServing, kUnreachable };

/// `SERVING`, `NOT_SERVING`, `UNREACHABLE`.
const char* HealthName(Health health);

/// Asks the server at a gRPC target, by grpc.health.v1, and waits at most `timeout`.
/// @param is_gateway  It tells everybody; so it is shown no token on a port, which another user may
///                    have taken.
Health CheckHealth(const std::string& target, absl::Duration timeout, bool is_gateway = false);

/// The same for one name that a server keeps health under (empty: the whole server), with the
/// reason. UNAVAILABLE: it is not SERVING, or can't be reached. DEADLINE_EXCEEDED: it doesn't
/// answer. NOT_FOUND: it keeps no health under that name.
absl::Status CheckServing(const std::string& target, const std::string& name,
                          absl::Duration timeout);

}  // namespace backfire::cli
