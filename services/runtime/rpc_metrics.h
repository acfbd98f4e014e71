#pragma once

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
/// grpc_type is unary, client_stream, server_stream or bidi_stream; grpc_code `OK`,
/// `ResourceExhausted` and the like. Methods that this program has no description of are `unknown`
/// in all three.
/// @param registry  Borrowed until the server has been destroyed.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(
    prometheus::Registry& registry);

}  // namespace backfire::runtime
