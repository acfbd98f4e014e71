#pragma once

namespace backfire::runtime {

/// Has gRPC's own messages, of errors alone, written by spdlog, and says in words why a certificate
/// was refused, which gRPC has as a number. Once is enough; more is harmless.
void RouteGrpcLog();

}  // namespace backfire::runtime
