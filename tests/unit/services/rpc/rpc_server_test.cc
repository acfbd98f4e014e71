#include "services/rpc/rpc_server.h"

#include <gtest/gtest.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/rpc/unary_call.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class RpcServerTest : public ::testing::Test {
 protected:
  void Start() {
    options_.listen = "unix:" + (directory_ / "socket").string();
    auto server = RpcServer::Start(options_, {});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = MakeChannel(options_.listen);
  }
  HealthCheckResponse::ServingStatus HealthOf(const std::string& name) {
    const auto stub = Health::NewStub(channel_);
    HealthCheckRequest request;
    request.set_service(name);
    const auto response = UnaryCall(*stub, &Health::Stub::Check, request, absl::Minutes(1));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->status() : HealthCheckResponse::UNKNOWN;
  }
  const testing::TemporaryDirectory directory_;
  RpcServerOptions options_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(RpcServerTest, IsAliveBeforeItServesAndReadyWhileItDoes) {
  Start();
  EXPECT_EQ(HealthOf("liveness"), HealthCheckResponse::SERVING);
  EXPECT_EQ(HealthOf(""), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(HealthOf("readiness"), HealthCheckResponse::NOT_SERVING);
  server_->SetServing(true);
  EXPECT_EQ(HealthOf(""), HealthCheckResponse::SERVING);
  EXPECT_EQ(HealthOf("readiness"), HealthCheckResponse::SERVING);
  server_->SetReady(false);
  EXPECT_EQ(HealthOf(""), HealthCheckResponse::SERVING);
  EXPECT_EQ(HealthOf("readiness"), HealthCheckResponse::NOT_SERVING);
}

TEST_F(RpcServerTest, ClosesConnectionsAfterAWhileAndTakesNewOnes) {
  options_.max_connection_seconds = 0.1;
  Start();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(HealthOf("liveness"), HealthCheckResponse::SERVING);
    // The next call finds it closed, or closes in: it must not fail.
    EXPECT_TRUE(channel_->WaitForStateChange(
        GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::minutes(1)));
  }
}

}  // namespace
}  // namespace backfire::runtime
