#include "orchestrator/cli/health.h"

#include <memory>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/runtime/channel.h"

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
  grpc::ClientContext context;
  runtime::SetDeadline(context, timeout);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, {}, &response);
  if (!status.ok()) return Health::kUnreachable;
  return response.status() == grpc::health::v1::HealthCheckResponse::SERVING ? Health::kServing
                                                                             : Health::kNotServing;
}

}  // namespace backfire::cli
