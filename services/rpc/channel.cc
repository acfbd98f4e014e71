#include "services/rpc/channel.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "services/base/dns_target.h"
#include "services/rpc/address.h"
#include "services/rpc/credentials.h"
#include "services/rpc/gateway_channel.h"
#include "services/rpc/rpc_metrics.h"

namespace backfire::runtime {
namespace {

constexpr size_t kMostKept = 1024;

}  // namespace

std::vector<std::pair<std::string, int>> TransportArguments() {
  return {{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 8 << 20},
          {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 32 << 20},
          {GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, 8 << 20},
          {GRPC_ARG_TCP_READ_CHUNK_SIZE, 1 << 20},
          {GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 8 << 20},
          // A message of an error is metadata; one may name every tensor of a network.
          {GRPC_ARG_MAX_METADATA_SIZE, 1 << 20}};
}

namespace {

std::shared_ptr<grpc::Channel> Connect(const std::string& target, int64_t max_message_bytes,
                                       bool show_token) {
  const auto [name, address] = ParseNamedAddress(target);
  const int limit =
      static_cast<int>(std::min<int64_t>(max_message_bytes, std::numeric_limits<int32_t>::max()));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(limit);
  arguments.SetMaxSendMessageSize(limit);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Reconnecting backs off to two minutes by default; a restarted service should be found at once.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // An address whose machine has gone answers nothing, for 20 s by default; a name is asked for
  // again after 30 s by default, and may lead elsewhere at once.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1'000);
  // Retries inside gRPC buffer at most 256 KiB a call, and fail oddly above it: callers retry.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // An http proxy of the environment is not for services of this mesh.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  for (const auto& [name, value] : TransportArguments()) arguments.SetInt(name, value);
  // Connections of one channel are its own, so that channels do not queue behind one another.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Whoever is behind a name shows a certificate of that name, whatever its address.
  if (!name.empty()) arguments.SetSslTargetNameOverride(name);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeClientRpcMetrics());
  auto token = show_token ? TokenFor(address) : nullptr;
  if (token != nullptr) interceptors.push_back(std::move(token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      ChannelTarget(address), ChannelCredentialsFor(address), arguments, std::move(interceptors));
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, int64_t max_message_bytes) {
  return Connect(target, max_message_bytes, /*show_token=*/true);
}

std::shared_ptr<grpc::Channel> MakeGatewayChannel(const std::string& target) {
  return Connect(target, kDefaultMaxMessageBytes, IsVerified(target));
}

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
}

std::shared_ptr<grpc::Channel> ChannelPool::Get(const std::string& target) {
  MutexLock lock(mutex_);
  // Addresses of processes that have gone would gather; what is used now is held by its users.
  if (channels_.size() >= kMostKept && channels_.count(target) == 0) channels_.clear();
  std::shared_ptr<grpc::Channel>& channel = channels_[target];
  if (channel == nullptr) channel = MakeChannel(target);
  return channel;
}

}  // namespace backfire::runtime
