#include "orchestrator/cli/health.h"

#include <memory>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/runtime/channel.h"
#include "services/runtime/unary_call.h"

namespace backfire::cli {

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

Health CheckHealth(const std::string& target, absl::Duration timeout) {
  const auto stub = grpc::health::v1::Health::NewStub(runtime::MakeChannel(target));
  const auto response = runtime::UnaryCall(*stub, &grpc::health::v1::Health::Stub::Check,
                                           grpc::health::v1::HealthCheckRequest(), timeout);
  if (!response.ok()) return Health::kUnreachable;
  return response->status() == grpc::health::v1::HealthCheckResponse::SERVING ? Health::kServing
                                                                              : Health::kNotServing;
}

}  // namespace backfire::cli
