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
Health CheckHealth(const std::string& target, absl::Duration timeout);

}  // namespace backfire::cli
