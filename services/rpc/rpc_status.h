#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace backfire::runtime {

/// Same code, same message: both sides use gRPC's canonical codes.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace backfire::runtime
