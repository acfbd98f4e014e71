#pragma once

#include <grpcpp/support/status.h>

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/rpc/rpc_status.h"

namespace backfire::api {

/// How long a stream that has nothing to say goes without asking whether its client is still there.
inline constexpr absl::Duration kStreamCheck = absl::Milliseconds(500);

/// A call's answer: its response, or why there is none.
template <typename T>
grpc::Status Answer(absl::StatusOr<T> result, T* response) {
  const grpc::Status status = runtime::ToGrpcStatus(result.status());
  if (result.ok()) *response = *std::move(result);
  return status;
}

}  // namespace backfire::api
