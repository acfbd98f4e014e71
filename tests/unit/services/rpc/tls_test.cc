// Mutual TLS over real sockets, with certificates as `./dev certs` makes them.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/base/file.h"
#include "services/rpc/certificate_expiry.h"
#include "services/rpc/credentials.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/unary_call.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v openssl >/dev/null") != 0) GTEST_SKIP() << "openssl is missing";
    logger_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_, /*force_flush=*/true)));
  }
  void TearDown() override {
    ASSERT_TRUE(ShowIdentity({}).ok());
    server_.reset();
    if (logger_ != nullptr) spdlog::set_default_logger(logger_);
  }
  /// `./dev certs` in a folder of the test's.
  void Certs(const std::string& folder, const std::string& arguments) {
    const std::string command = std::string(BACKFIRE_SOURCE_DIR) + "/deploy/certs/certs.sh '" +
                                (directory_ / folder).string() + "' " + arguments + " >/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  SecurityOptions Files(const std::string& folder, const std::string& name) const {
    SecurityOptions options;
    options.tls_certificate = directory_ / folder / (name + ".pem");
    options.tls_key = directory_ / folder / (name + ".key");
    options.tls_ca = directory_ / folder / "ca.pem";
    return options;
  }
  void Start(const SecurityOptions& security, const std::string& listen = "localhost:0") {
    RpcServerOptions options;
    options.listen = listen;
    options.surface = Surface::kOrchestrator;
    options.security = security;
    auto server = RpcServer::Start(options, {&service_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  /// What a call gets that shows these files; UNIMPLEMENTED: it came in.
  absl::Status CallAs(const SecurityOptions& shown) {
    EXPECT_TRUE(ShowIdentity(shown).ok());
    return Call(MakeChannel(server_->endpoint()));
  }
  static absl::Status Call(const std::shared_ptr<grpc::Channel>& channel) {
    const auto stub = v1::Orchestrator::NewStub(channel);
    return UnaryCall(*stub, &v1::Orchestrator::Stub::GetSystem, v1::GetSystemRequest(),
                     absl::Seconds(30))
        .status();
  }

  const testing::TemporaryDirectory directory_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> logger_;
  v1::Orchestrator::Service service_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(TlsTest, TheCertificateSaysWhoCalls) {
  Certs("certs", "orchestrator/o viewer/v client/c operator/ada");
  Start(Files("certs", "o"));
  EXPECT_TRUE(absl::IsUnimplemented(CallAs(Files("certs", "v"))));
  EXPECT_TRUE(absl::IsUnimplemented(CallAs(Files("certs", "ada"))));
  const absl::Status client = CallAs(Files("certs", "c"));
  EXPECT_TRUE(absl::IsPermissionDenied(client)) << client;
  EXPECT_THAT(std::string(client.message()), HasSubstr("\"c\" has client"));
  // One who shows no certificate is nobody, and one who doesn't speak TLS gets nowhere.
  grpc::SslCredentialsOptions nobody;
  nobody.pem_root_certs = *ReadFile(directory_ / "certs" / "ca.pem");
  EXPECT_TRUE(absl::IsUnauthenticated(
      Call(grpc::CreateChannel(server_->endpoint(), grpc::SslCredentials(nobody)))));
  EXPECT_TRUE(absl::IsUnavailable(
      Call(grpc::CreateChannel(server_->endpoint(), grpc::InsecureChannelCredentials()))));
}

TEST_F(TlsTest, AServerHasTheNameThatItIsCalledBy) {
  Certs("certs", "orchestrator/o,pods,pods.mesh viewer/v");
  Start(Files("certs", "o"), "127.0.0.2:0");  // An address that no certificate has.
  ASSERT_TRUE(ShowIdentity(Files("certs", "v")).ok());
  const std::string address = server_->endpoint();
  EXPECT_TRUE(absl::IsUnavailable(Call(MakeChannel(address))));
  for (const char* name : {"o", "pods", "pods.mesh"}) {
    const absl::Status status = Call(MakeChannel(absl::StrCat(name, "@", address)));
    EXPECT_TRUE(absl::IsUnimplemented(status)) << name << ": " << status;
  }
  EXPECT_TRUE(absl::IsUnavailable(Call(MakeChannel("v@" + address))));
}

TEST_F(TlsTest, ACertificateMayHaveSeveralRolesAndKeepsThemWhenItIsRenewed) {
  Certs("certs", "orchestrator/o,pods client+viewer/both");
  for (const char* more : {"", "--new-ca", "", "--drop-old-ca"}) {
    Certs("certs", more);
    Start(Files("certs", "o"), "127.0.0.2:0");
    ASSERT_TRUE(ShowIdentity(Files("certs", "both")).ok());
    const absl::Status status = Call(MakeChannel("pods@" + server_->endpoint()));
    EXPECT_TRUE(absl::IsUnimplemented(status)) << more << ": " << status;
  }
}

TEST_F(TlsTest, AFileOfIdentitiesTakesThePlaceOfWhatCertificatesSay) {
  Certs("certs", "orchestrator/o viewer/v client/c");
  ASSERT_TRUE(WriteFileAtomically(directory_ / "identities",
                                  "viewer  carl  san:spiffe://backfire/client/c\n")
                  .ok());
  SecurityOptions options = Files("certs", "o");
  options.identities_file = directory_ / "identities";
  Start(options);
  EXPECT_TRUE(absl::IsUnimplemented(CallAs(Files("certs", "c"))));
  EXPECT_TRUE(absl::IsUnauthenticated(CallAs(Files("certs", "v"))));
}

TEST_F(TlsTest, RefusesOtherAuthoritiesAndWhatIsNoLongerValidAndSaysWhy) {
  Certs("certs", "orchestrator/o viewer/v viewer/gone");
  Certs("certs", "--days -1 viewer/late");
  Certs("certs", "--revoke gone");
  Certs("others", "viewer/v orchestrator/o");
  SecurityOptions options = Files("certs", "o");
  options.tls_crl_directory = directory_ / "certs" / "crl";
  Start(options);
  EXPECT_TRUE(absl::IsUnimplemented(CallAs(Files("certs", "v"))));

  SecurityOptions other = Files("others", "v");
  other.tls_ca = options.tls_ca;  // It believes the server, and isn't believed.
  EXPECT_TRUE(absl::IsUnavailable(CallAs(other)));
  EXPECT_THAT(log_.str(), HasSubstr("unable to get local issuer certificate"));
  EXPECT_TRUE(absl::IsUnavailable(CallAs(Files("certs", "late"))));
  EXPECT_THAT(log_.str(), HasSubstr("certificate has expired"));
  EXPECT_TRUE(absl::IsUnavailable(CallAs(Files("certs", "gone"))));
  EXPECT_THAT(log_.str(), HasSubstr("certificate revoked"));
  // Nor does a client talk to a server of another authority.
  SecurityOptions elsewhere = Files("certs", "v");
  elsewhere.tls_ca = directory_ / "others" / "ca.pem";
  EXPECT_TRUE(absl::IsUnavailable(CallAs(elsewhere)));
}

TEST_F(TlsTest, SaysWhenACertificateEnds) {
  Certs("certs", "--days 3 model/car");
  const auto end = CertificateExpiry(Files("certs", "car").tls_certificate);
  ASSERT_TRUE(end.ok()) << end.status();
  const double days = (static_cast<double>(*end) - static_cast<double>(std::time(nullptr))) / 86400;
  EXPECT_NEAR(days, 3, 0.1);
  const auto metrics = CertificateMetrics(Files("certs", "car").tls_certificate);
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0].metric[0].gauge.value, static_cast<double>(*end));
  EXPECT_TRUE(absl::IsInvalidArgument(CertificateExpiry(Files("certs", "car").tls_key).status()));
  EXPECT_TRUE(CertificateMetrics(directory_ / "none.pem").empty());
}

TEST_F(TlsTest, CertificatesAndAuthoritiesChangeUnderLoad) {
  Certs("certs", "orchestrator/o viewer/v");
  Start(Files("certs", "o"));
  ASSERT_TRUE(ShowIdentity(Files("certs", "v")).ok());
  std::atomic<bool> done{false};
  std::atomic<int> calls{0};
  std::string failure;
  std::thread client([&] {
    // A new connection for each call: one that is open never sees another certificate.
    while (!done && failure.empty()) {
      const absl::Status status = Call(MakeChannel(server_->endpoint()));
      if (!absl::IsUnimplemented(status)) failure = status.ToString();
      ++calls;
    }
  });
  const auto after_calls = [&](int more) {
    const int target = calls + more;
    while (calls < target && failure.empty()) std::this_thread::yield();
  };
  for (int i = 0; i < 20; ++i) {
    Certs("certs", "");
    after_calls(3);
  }
  // Another authority: first both are believed, then certificates are renewed, then one is dropped.
  // Each step ends when the server shows what came of it.
  const std::string before = *ReadFile(directory_ / "certs" / "ca.pem");
  Certs("certs", "--new-ca viewer/new");
  // The new authority is believed once one that has nothing else is let in.
  const auto let_in = [&] {
    const SecurityOptions files = Files("certs", "new");
    grpc::SslCredentialsOptions shown;
    shown.pem_root_certs = *ReadFile(directory_ / "certs" / "ca.pem");
    shown.pem_private_key = *ReadFile(files.tls_key);
    shown.pem_cert_chain = *ReadFile(files.tls_certificate);
    return absl::IsUnimplemented(
        Call(grpc::CreateChannel(server_->endpoint(), grpc::SslCredentials(shown))));
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!let_in() && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_TRUE(let_in());
  after_calls(20);
  done = true;
  client.join();
  EXPECT_EQ(failure, "");
  EXPECT_GE(calls.load(), 60);
}

}  // namespace
}  // namespace backfire::runtime
