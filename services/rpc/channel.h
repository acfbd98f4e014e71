#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "services/base/mutex.h"

namespace backfire::runtime {

/// Largest message that is sent or received by default: a KITTI pair as floats is 11 MB, a system's
/// outputs of it some 20 MB.
inline constexpr int64_t kDefaultMaxMessageBytes = int64_t{256} << 20;

/// What both ends of a connection agree on, beyond message limits: few large pieces instead of many
/// small ones, as tensors are large. Measured by `./dev bench mesh`.
std::vector<std::pair<std::string, int>> TransportArguments();

/// A channel to `localhost:7001`, `unix:/run/car.sock`, `NAME@10.0.0.7:7000` (dns_target.h: by TLS
/// it must have a certificate of that name) and the like, with message limits raised in both
/// directions (gRPC's own 4 MiB breaks on images) and keepalive, so that a dead peer is noticed.
/// Its calls are counted: rpc_metrics.h.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           int64_t max_message_bytes = kDefaultMaxMessageBytes);

/// Gives a call `timeout` from now.
void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

/// Keeps one channel per target, so that repeated calls share connections. Thread-safe.
class ChannelPool {
 public:
  std::shared_ptr<grpc::Channel> Get(const std::string& target);

 private:
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
