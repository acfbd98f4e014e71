#pragma once

#include <grpcpp/client_context.h>

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"

namespace backfire::runtime {

/// One request, one answer, at most `timeout` from now.
/// @param method  For instance `&v1::ModelService::Stub::GetVersion`.
/// @param cancelled  Asked now and then while it waits: the call then ends with CANCELLED. Null: it
/// is not asked. Borrowed.
/// @return  The answer; else the call's status as FromGrpcStatus has it.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> UnaryCall(Stub& stub,
                                   grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                   const Request& request, absl::Duration timeout,
                                   const std::function<bool()>* cancelled = nullptr) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  std::optional<CancellationWatch> watch;
  if (cancelled != nullptr) watch.emplace(context, *cancelled);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response;
}

}  // namespace backfire::runtime
