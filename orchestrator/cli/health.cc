#include "orchestrator/cli/health.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "services/base/status.h"
#include "services/rpc/channel.h"
#include "services/rpc/gateway_channel.h"
#include "services/rpc/unary_call.h"

namespace backfire::cli {
namespace {

using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<HealthCheckResponse> Ask(const std::shared_ptr<grpc::Channel>& channel,
                                        const std::string& name, absl::Duration timeout) {
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(name);
  return runtime::UnaryCall(*stub, &grpc::health::v1::Health::Stub::Check, request, timeout);
}

}  // namespace

const char* HealthName(Health health) {
  switch (health) {
    case Health::kServing:
      return "SERVING";
    case Health::kNotServing:
      return "NOT_SERVING";
    case Health::kUnreachable:
      break;
  }
  return "UNREACHABLE";
}

Health CheckHealth(const std::string& target, absl::Duration timeout, bool is_gateway) {
  const auto response = Ask(
      is_gateway ? runtime::MakeGatewayChannel(target) : runtime::MakeChannel(target), "", timeout);
  if (!response.ok()) return Health::kUnreachable;
  return response->status() == HealthCheckResponse::SERVING ? Health::kServing
                                                            : Health::kNotServing;
}

absl::Status CheckServing(const std::string& target, const std::string& name,
                          absl::Duration timeout) {
  const auto response = Ask(runtime::MakeChannel(target), name, timeout);
  if (absl::IsNotFound(response.status())) {
    return absl::NotFoundError(absl::StrCat(target, " keeps no health of \"", name, "\""));
  }
  if (!response.ok()) return Annotate(response.status(), target);
  if (response->status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(target, " is ", HealthCheckResponse::ServingStatus_Name(response->status())));
}

}  // namespace backfire::cli
