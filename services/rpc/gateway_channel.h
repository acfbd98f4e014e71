#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace backfire::runtime {

/// A channel as MakeChannel's, to a gateway, at which everybody on the machine may infer: it shows
/// the token only where the gateway is verified (IsVerified). Its port is one that others may have
/// taken before it was started, or since it has ended.
std::shared_ptr<grpc::Channel> MakeGatewayChannel(const std::string& target);

}  // namespace backfire::runtime
