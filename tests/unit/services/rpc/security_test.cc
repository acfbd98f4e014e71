// Who is let in: tokens, identities, roles, TLS; over real sockets.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include "backfire/v1/evidence.grpc.pb.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/rpc/credentials.h"
#include "services/rpc/gateway_channel.h"
#include "services/rpc/identities.h"
#include "services/rpc/roles.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/token.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

const std::vector<Surface> kSurfaces = {Surface::kGateway, Surface::kModelService,
                                        Surface::kOrchestrator};
const std::vector<std::string> kRoleNames = {"client", "model",        "gateway", "viewer",
                                             "gate",   "orchestrator", "operator"};

/// Every method of a service, as the table has it.
std::vector<std::string> MethodsOf(const google::protobuf::ServiceDescriptor& service) {
  std::vector<std::string> methods;
  for (int i = 0; i < service.method_count(); ++i) {
    methods.push_back("/" + service.full_name() + "/" + service.method(i)->name());
  }
  return methods;
}

const google::protobuf::ServiceDescriptor& Service(const std::string& name) {
  return *google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
}

void WriteSecret(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), 0600);
}

std::string TokenOfRole(const std::string& role) { return role + "-0123456789012345678901234567"; }

TEST(RolesTest, TheTableHasEveryMethodOfEveryServiceOnce) {
  // Linked in, so that their descriptors are there.
  const v1::ExportEvidenceRequest evidence;
  const inference::ServerLiveRequest live;
  const grpc::health::v1::HealthCheckRequest health;
  const std::vector<std::pair<Surface, std::vector<std::string>>> served = {
      {Surface::kGateway, {"inference.GRPCInferenceService", "grpc.health.v1.Health"}},
      {Surface::kModelService,
       {"backfire.v1.ModelService", "inference.GRPCInferenceService", "grpc.health.v1.Health"}},
      {Surface::kOrchestrator,
       {"backfire.v1.Orchestrator", "backfire.v1.UpdateEvidence", "grpc.health.v1.Health"}}};
  for (const auto& [surface, services] : served) {
    std::set<std::string> in_table;
    for (const MethodRule& rule : MethodTable(surface)) {
      EXPECT_TRUE(in_table.insert(std::string(rule.method)).second) << rule.method;
    }
    for (const std::string& service : services) {
      for (const std::string& method : MethodsOf(Service(service))) {
        EXPECT_EQ(in_table.erase(method), 1u) << method << " is not in the table";
      }
    }
    for (const std::string& rest : in_table) EXPECT_THAT(rest, HasSubstr("reflection")) << rest;
  }
}

TEST(RolesTest, WhatChangesSomethingIsNobodysButItsOwners) {
  for (const Surface surface : kSurfaces) {
    for (const MethodRule& rule : MethodTable(surface)) {
      if (!rule.changes) continue;
      EXPECT_FALSE(rule.anyone) << rule.method;
      EXPECT_FALSE(rule.roles.Overlap({Role::kClient, Role::kModel, Role::kGateway, Role::kViewer}))
          << rule.method;
    }
  }
}

TEST(RolesTest, NamesAreThoseOfTheFile) {
  for (const std::string& name : kRoleNames) {
    const auto role = ParseRole(name);
    ASSERT_TRUE(role.has_value()) << name;
    EXPECT_EQ(Roles({*role}).ToString(), name);
  }
  EXPECT_FALSE(ParseRole("root").has_value());
  EXPECT_EQ((Roles{Role::kGate, Role::kViewer}).ToString(), "viewer, gate");
  EXPECT_EQ(Roles::All().ToString(), "all");
  EXPECT_EQ(Roles().ToString(), "");
}

TEST(TokenTest, IsMadeOnceAndReadByItsOwnerAlone) {
  const testing::TemporaryDirectory directory;
  const auto path = directory / "token";
  ASSERT_TRUE(MakeTokenFile(path).ok());
  struct stat made {};
  ASSERT_EQ(::stat(path.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0600u);
  const std::string first = *ReadFile(path);
  EXPECT_EQ(first.size(), 65u);
  ASSERT_TRUE(MakeTokenFile(path).ok());
  EXPECT_EQ(*ReadFile(path), first);
  SecurityOptions options;
  options.token_file = path;
  EXPECT_TRUE(Identities::Open(options).ok());
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(Identities::Open(options).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ParseToken("short").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseToken(std::string(40, 'a') + "\nb").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TokenOf("Bearer x"), "x");
  EXPECT_EQ(TokenOf("bearer x"), "x");
  EXPECT_EQ(TokenOf("Basic x"), "");
  EXPECT_EQ(TokenOf(""), "");
}

TEST(IdentitiesTest, EveryFaultOfTheFileHasItsLine) {
  const auto faulty = ParseIdentities(
      "# a comment\nroot ada san:ada\noperator ada\ngate ci sha256:12\nviewer x san:\n");
  EXPECT_EQ(faulty.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* line : {"line 2", "line 3", "line 4", "line 5"}) {
    EXPECT_THAT(std::string(faulty.status().message()), HasSubstr(line));
  }
  const auto table = ParseIdentities("operator ada san:ada@x # boss\r\n\n gate  ada san:ada@x\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->by_alternative_name.at("ada@x").roles, (Roles{Role::kGate, Role::kOperator}));
}

TEST(IdentitiesTest, ACertificateMaySayItsRoleItself) {
  EXPECT_EQ(CallerOfSpiffeId("spiffe://backfire/gateway/g1").roles, Roles{Role::kGateway});
  EXPECT_EQ(CallerOfSpiffeId("spiffe://backfire/gateway/g1").name, "g1");
  for (const char* none : {"spiffe://backfire/root/x", "spiffe://backfire/gateway", "gateway",
                           "spiffe://backfire/gateway/", "spiffe://other/gateway/g1", ""}) {
    EXPECT_TRUE(CallerOfSpiffeId(none).roles.empty()) << none;
  }
}

class DoorTest : public ::testing::Test {
 protected:
  void Start(const SecurityOptions& security, Surface surface,
             const std::string& listen = "127.0.0.1:0") {
    RpcServerOptions options;
    options.listen = listen == "unix" ? "unix:" + (directory_ / "socket").string() : listen;
    options.security = security;
    options.surface = surface;
    options.audit_log = directory_ / "audit.jsonl";
    auto server = RpcServer::Start(options, {&orchestrator_, &evidence_, &models_, &inference_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->endpoint(), grpc::InsecureChannelCredentials());
  }
  SecurityOptions WithIdentities() {
    std::string lines;
    for (const std::string& role : kRoleNames) {
      lines += role + " the-" + role + " sha256:" + Sha256Hex(TokenOfRole(role)) + "\n";
    }
    std::ofstream(directory_ / "identities") << lines;
    SecurityOptions options;
    options.identities_file = directory_ / "identities";
    return options;
  }
  SecurityOptions WithToken() {
    SecurityOptions options;
    options.token_file = directory_ / "token";
    EXPECT_TRUE(MakeTokenFile(options.token_file).ok());
    return options;
  }
  std::string Token() const { return *ParseToken(*ReadFile(directory_ / "token")); }

  /// Calls a method with an empty request, whatever it takes.
  grpc::Status Call(const std::string& method, const std::string& token) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    if (!token.empty()) context.AddMetadata(kAuthorization, BearerOf(token));
    if (method == "/grpc.health.v1.Health/Watch") {  // It would never end.
      const auto reader = grpc::health::v1::Health::NewStub(channel_)->Watch(&context, {});
      grpc::health::v1::HealthCheckResponse response;
      if (!reader->Read(&response)) return reader->Finish();
      context.TryCancel();
      reader->Finish();
      return grpc::Status::OK;
    }
    const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    inference::ServerLiveRequest request;
    inference::ServerLiveResponse response;
    return grpc::internal::BlockingUnaryCall(channel_.get(), rpc, &context, request, &response);
  }
  /// Whether the call came past the door; whatever it did then.
  static bool IsIn(const grpc::Status& status) {
    return status.error_code() != StatusCode::UNAUTHENTICATED &&
           status.error_code() != StatusCode::PERMISSION_DENIED;
  }

  const testing::TemporaryDirectory directory_;
  v1::Orchestrator::Service orchestrator_;
  v1::UpdateEvidence::Service evidence_;
  v1::ModelService::Service models_;
  inference::GRPCInferenceService::Service inference_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(DoorTest, EachRoleMayCallWhatTheTableSaysAndNothingElse) {
  for (const Surface surface : kSurfaces) {
    Start(WithIdentities(), surface);
    for (const MethodRule& rule : MethodTable(surface)) {
      const std::string method(rule.method);
      for (const std::string& role : kRoleNames) {
        const grpc::Status status = Call(method, TokenOfRole(role));
        EXPECT_EQ(IsIn(status), rule.roles.Has(*ParseRole(role)))
            << role << " " << method << ": " << status.error_message();
        if (!IsIn(status)) {
          EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
        }
      }
      // Where identities are required of all, nobody may but ask for health where all may.
      const bool is_probe = rule.anyone && method == "/grpc.health.v1.Health/Check";
      EXPECT_EQ(IsIn(Call(method, "")), is_probe) << method;
      EXPECT_EQ(Call(method, std::string(40, 'x')).error_code(), StatusCode::UNAUTHENTICATED);
    }
    for (const std::string& role : kRoleNames) {
      EXPECT_EQ(Call("/backfire.v1.Orchestrator/Invented", TokenOfRole(role)).error_code(),
                StatusCode::PERMISSION_DENIED);
    }
  }
}

TEST_F(DoorTest, TheTokenOfTheMeshOpensEverythingAndNobodyInfersAtTheGatewayAlone) {
  for (const std::string listen : {"127.0.0.1:0", "unix"}) {
    for (const Surface surface : kSurfaces) {
      Start(WithToken(), surface, listen);
      for (const MethodRule& rule : MethodTable(surface)) {
        const std::string method(rule.method);
        EXPECT_EQ(IsIn(Call(method, Token())), !rule.roles.empty()) << method;
        EXPECT_EQ(IsIn(Call(method, "")), surface == Surface::kGateway && !rule.roles.empty())
            << method;
      }
      const grpc::Status nobody = Call("/backfire.v1.Orchestrator/Invented", "");
      EXPECT_EQ(nobody.error_code(), StatusCode::UNAUTHENTICATED);
      server_.reset();
    }
  }
}

TEST_F(DoorTest, AFileThatChangesIsReadAgain) {
  const SecurityOptions options = WithToken();
  Start(options, Surface::kOrchestrator);
  const std::string method = "/backfire.v1.Orchestrator/GetSystem", before = Token();
  EXPECT_TRUE(IsIn(Call(method, before)));
  const std::string after(64, 'b');
  WriteSecret(directory_ / "new", after);
  std::filesystem::rename(directory_ / "new", options.token_file);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!IsIn(Call(method, after)) && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_TRUE(IsIn(Call(method, after)));
  EXPECT_EQ(Call(method, before).error_code(), StatusCode::UNAUTHENTICATED);
  // What has become unreadable leaves what was.
  WriteSecret(directory_ / "new", "no token");
  std::filesystem::rename(directory_ / "new", options.token_file);
  EXPECT_TRUE(IsIn(Call(method, after)));
}

TEST_F(DoorTest, TheTokenIsShownToThisMachineAndToNobodyElse) {
  Start(WithToken(), Surface::kOrchestrator);
  SecurityOptions shown;
  shown.token_file = directory_ / "token";
  ASSERT_TRUE(ShowIdentity(shown).ok());
  EXPECT_NE(TokenFor("localhost:7001"), nullptr);
  EXPECT_NE(TokenFor("unix:/run/x"), nullptr);
  EXPECT_EQ(TokenFor("car:7001"), nullptr);
  EXPECT_EQ(TokenFor("localhost.example.com:7001"), nullptr);
  channel_ = MakeChannel(server_->endpoint());
  EXPECT_TRUE(IsIn(Call("/backfire.v1.Orchestrator/GetSystem", "")));
  ASSERT_TRUE(ShowIdentity({}).ok());
  channel_ = MakeChannel(server_->endpoint());
  EXPECT_FALSE(IsIn(Call("/backfire.v1.Orchestrator/GetSystem", "")));
}

TEST_F(DoorTest, AGatewayOnAPortIsShownNoToken) {
  SecurityOptions shown;
  shown.token_file = directory_ / "token";
  for (const std::string listen : {"127.0.0.1:0", "unix"}) {
    // Another user may have taken the port: here it is one who would do what the token allows.
    Start(WithToken(), Surface::kOrchestrator, listen);
    ASSERT_TRUE(ShowIdentity(shown).ok());
    channel_ = MakeGatewayChannel(server_->endpoint());
    EXPECT_EQ(IsIn(Call("/backfire.v1.Orchestrator/GetSystem", "")), listen == "unix") << listen;
    channel_ = MakeChannel(server_->endpoint());
    EXPECT_TRUE(IsIn(Call("/backfire.v1.Orchestrator/GetSystem", ""))) << listen;
  }
  ASSERT_TRUE(ShowIdentity({}).ok());
}

TEST_F(DoorTest, WhatChangesSomethingIsWrittenDown) {
  Start(WithIdentities(), Surface::kOrchestrator);
  Call("/backfire.v1.Orchestrator/GetSystem", TokenOfRole("operator"));
  EXPECT_EQ(*ReadFile(directory_ / "audit.jsonl"), "");
  const auto stub = v1::Orchestrator::NewStub(channel_);
  grpc::ClientContext context;
  context.AddMetadata(kAuthorization, BearerOf(TokenOfRole("operator")));
  v1::RollbackReleaseRequest request;
  request.set_name("releases/1");
  request.set_reason("a \"quoted\"\nreason");
  request.set_request_id("back-1");
  request.set_actor("mallory");
  v1::Release release;
  EXPECT_EQ(stub->RollbackRelease(&context, request, &release).error_code(),
            StatusCode::UNIMPLEMENTED);
  Call("/backfire.v1.Orchestrator/PromoteUpdate", TokenOfRole("viewer"));
  server_.reset();
  const std::string text = *ReadFile(directory_ / "audit.jsonl");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  for (const char* part :
       {R"("method":"/backfire.v1.Orchestrator/RollbackRelease")", R"("caller":"the-operator")",
        R"("roles":"operator")", R"("claimed":"mallory")", R"("name":"releases/1")",
        R"("request_id":"back-1")", R"("reason":"a \"quoted\"\nreason")",
        R"("outcome":"Unimplemented")", R"("caller":"the-viewer")",
        R"("outcome":"PermissionDenied")"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(DoorTest, NothingListensBeyondTheMachineInTheOpen) {
  RpcServerOptions options;
  options.listen = "0.0.0.0:0";
  EXPECT_EQ(RpcServer::Start(options, {}).status().code(), absl::StatusCode::kFailedPrecondition);
  options.security.allow_insecure = true;
  EXPECT_TRUE(RpcServer::Start(options, {}).ok());
  options.security.token_file = WithToken().token_file;
  EXPECT_EQ(RpcServer::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument);
  options.listen = "127.0.0.2:0";
  EXPECT_EQ(RpcServer::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument);
  options.security.tls_key = "key";
  EXPECT_EQ(RpcServer::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace backfire::runtime
