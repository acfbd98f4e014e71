#include "services/rpc/rpc_status.h"

#include <string>

#include "services/base/excerpt.h"
#include "services/base/utf8.h"

namespace backfire::runtime {
namespace {

// Clients take 8 kB of metadata unless they say otherwise, and a call whose message is longer fails
// as RESOURCE_EXHAUSTED. On the wire, whatever is not printable ASCII takes three bytes.
constexpr size_t kMaxMessageBytes = 6 << 10;

std::string FitForTheWire(const std::string& message) {
  size_t bytes = 0;
  for (size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    bytes += c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
    if (bytes > kMaxMessageBytes) return Excerpt(message, i);
  }
  return message;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      FitForTheWire(ValidUtf8({status.message().data(), status.message().size()})));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      ValidUtf8(status.error_message()));
}

}  // namespace backfire::runtime
