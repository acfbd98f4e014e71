#include "services/rpc/rpc_server.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "services/rpc/unary_call.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
namespace reflection = grpc::reflection::v1;

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

// The answer to one question, by one name of reflection. Both have the same messages.
reflection::ServerReflectionResponse Ask(grpc::Channel& channel, const std::string& service,
                                         const reflection::ServerReflectionRequest& question) {
  const std::string method = "/" + service + "/ServerReflectionInfo";
  const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING);
  grpc::ClientContext context;
  SetDeadline(context, absl::Minutes(1));
  using Stream = grpc::ClientReaderWriter<reflection::ServerReflectionRequest,
                                          reflection::ServerReflectionResponse>;
  const std::unique_ptr<Stream> stream(
      grpc::internal::ClientReaderWriterFactory<
          reflection::ServerReflectionRequest,
          reflection::ServerReflectionResponse>::Create(&channel, rpc, &context));
  stream->Write(question);
  stream->WritesDone();
  reflection::ServerReflectionResponse answer;
  EXPECT_TRUE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  return answer;
}

TEST_F(RpcServerTest, DescribesItselfByBothNamesOfReflection) {
  Start();
  const std::string v1 = "grpc.reflection.v1.ServerReflection",
                    alpha = "grpc.reflection.v1alpha.ServerReflection";
  const auto both = [&](const reflection::ServerReflectionRequest& question) {
    const auto answer = Ask(*channel_, v1, question), old = Ask(*channel_, alpha, question);
    EXPECT_EQ(answer.message_response_case(), old.message_response_case());
    EXPECT_EQ(answer.original_request().ShortDebugString(), question.ShortDebugString());
    const auto files = [](const reflection::ServerReflectionResponse& one) {
      const auto& list = one.file_descriptor_response().file_descriptor_proto();
      return std::set<std::string>(list.begin(), list.end());
    };
    EXPECT_EQ(files(answer), files(old));
    EXPECT_EQ(answer.error_response().error_code(), old.error_response().error_code());
    return answer;
  };
  reflection::ServerReflectionRequest question;
  question.set_list_services("");
  std::set<std::string> names;
  const auto list = both(question).list_services_response();
  for (const auto& service : list.service()) names.insert(service.name());
  EXPECT_EQ(names, (std::set<std::string>{"grpc.health.v1.Health", v1, alpha}));
  // What tools do next: they ask for each.
  for (const std::string& name : names) {
    question.set_file_containing_symbol(name);
    const auto files = both(question).file_descriptor_response();
    ASSERT_GE(files.file_descriptor_proto_size(), 1) << name;
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(files.file_descriptor_proto(0)));
    EXPECT_EQ(file.package() + "." + file.service(0).name(), name);
    question.set_file_by_filename(file.name());
    EXPECT_EQ(both(question).file_descriptor_response().file_descriptor_proto(0),
              files.file_descriptor_proto(0));
  }
  question.set_file_containing_symbol("no.such.Symbol");
  EXPECT_EQ(both(question).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  question.set_file_by_filename("no/such.proto");
  both(question);
  question.set_all_extension_numbers_of_type("grpc.health.v1.HealthCheckRequest");
  EXPECT_EQ(both(question).all_extension_numbers_response().extension_number_size(), 0);
  question.set_all_extension_numbers_of_type("no.such.Message");
  both(question);
  question.mutable_file_containing_extension()->set_containing_type("no.such.Message");
  both(question);
  both({});
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
