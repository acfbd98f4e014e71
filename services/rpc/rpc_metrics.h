#pragma once

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>
#include <prometheus/registry.h>

#include <memory>
#include <string_view>

namespace backfire::runtime {

/// A status code as labels have it: `OK`, `ResourceExhausted`; `Unknown` for what is no code.
std::string_view StatusCodeLabel(int code);

/// Counts and times every call that a server handles, under the names that go-grpc-prometheus made
/// usual, so that existing dashboards work:
///   grpc_server_started_total{grpc_type,grpc_service,grpc_method}
///   grpc_server_handled_total{grpc_type,grpc_service,grpc_method,grpc_code}
///   grpc_server_handling_seconds{grpc_type,grpc_service,grpc_method}, a histogram
/// and under names of our own what it has not:
///   grpc_server_in_flight{...}, grpc_server_msg_received_bytes_total{...},
///   grpc_server_msg_sent_bytes_total{...}, of messages as serialised
/// grpc_type is unary, client_stream, server_stream or bidi_stream; grpc_code `OK`,
/// `ResourceExhausted` and the like. Methods that this program has no description of are `unknown`
/// in all three. A call that ends without a status has been `Canceled`, as has one whose
/// caller left before its request was there; a request that can't be parsed is `InvalidArgument`.
/// @param registry  Borrowed until the server has been destroyed.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeServerRpcMetrics(
    prometheus::Registry& registry);

/// The same of a channel's calls, as grpc_client_*, in ClientRpcRegistry().
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeClientRpcMetrics();

/// Where all channels of this process (channel.h) count. One for all: a call to another process is
/// the process's own, and no single server's in it. Thread-safe; lives as long as the process.
const std::shared_ptr<prometheus::Registry>& ClientRpcRegistry();

}  // namespace backfire::runtime
