#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/client_interceptor.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/rpc/security.h"

namespace backfire::runtime {

/// Makes this process show what `options` say to all whom it calls from now on: its token, where
/// that can be seen by nobody on the way, and its certificate. One for all, as a process is one
/// identity: main says it, before the first channel. Errors of the files.
absl::Status ShowIdentity(const SecurityOptions& options);

/// What a channel to `target` begins with: TLS, if this process has a certificate and the target is
/// no unix socket.
std::shared_ptr<grpc::ChannelCredentials> ChannelCredentialsFor(const std::string& target);

/// Adds the token to a channel's calls; null: there is none to add, or it could be seen.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> TokenFor(
    const std::string& target);

/// Whether nobody answers at `target` but who was meant: the owner of a unix socket's folder, or
/// who has a certificate. A port without TLS is whoever's was there first.
bool IsVerified(const std::string& target);

/// What a listener at `address` begins with, so that `door` is asked of each call.
/// FAILED_PRECONDITION: it would listen beyond this machine without TLS, and that is not allowed.
/// INVALID_ARGUMENT: it would, with a token.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const SecurityOptions& options, const std::string& address,
    std::shared_ptr<grpc::AuthMetadataProcessor> door);

}  // namespace backfire::runtime
