// `backfire healthcheck` against real servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "orchestrator/cli/command_line.h"
#include "services/rpc/rpc_server.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using ::testing::HasSubstr;

class HealthcheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime::RpcServerOptions options;
    options.listen = target_;
    auto server = runtime::RpcServer::Start(options, {});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ExitCode Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    Session session;
    session.out = &out_;
    session.err = &err_;
    return RunCommandLine(session, arguments);
  }

  testing::TemporaryDirectory directory_;
  const std::string target_ = "unix:" + (directory_ / "server").string();
  std::unique_ptr<runtime::RpcServer> server_;
  std::ostringstream out_, err_;
};

TEST_F(HealthcheckTest, FollowsWhatTheServerSays) {
  EXPECT_EQ(Run({"healthcheck", target_}), ExitCode::kUnavailable);
  EXPECT_THAT(err_.str(), HasSubstr(target_ + " is NOT_SERVING"));
  server_->SetServing(true);
  EXPECT_EQ(Run({"healthcheck", target_}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "SERVING\n");
  server_->Drain();
  EXPECT_EQ(Run({"healthcheck", target_}), ExitCode::kUnavailable);
}

TEST_F(HealthcheckTest, AsksForOneNameOfMany) {
  server_->SetServing(true);
  server_->SetServing("car", false);
  EXPECT_EQ(Run({"healthcheck", target_, "--service", "car"}), ExitCode::kUnavailable);
  server_->SetServing("car", true);
  EXPECT_EQ(Run({"healthcheck", target_, "--service", "car"}), ExitCode::kOk);
  EXPECT_EQ(Run({"healthcheck", target_, "--service", "cat"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("keeps no health of \"cat\""));
}

TEST_F(HealthcheckTest, NobodyThere) {
  const std::string target = "unix:" + (directory_ / "nobody").string();
  EXPECT_EQ(Run({"healthcheck", target}), ExitCode::kUnavailable);
  EXPECT_THAT(err_.str(), HasSubstr(target));
}

// A process that is stopped, or hangs, still accepts connections: its kernel does.
TEST_F(HealthcheckTest, OneThatListensAndSaysNothing) {
  const std::string path = (directory_ / "mute").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  EXPECT_EQ(Run({"healthcheck", "unix:" + path, "--timeout", "0.2"}), ExitCode::kUnavailable);
  ::close(listener);
}

TEST_F(HealthcheckTest, WrongUsage) {
  EXPECT_EQ(Run({"healthcheck"}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"healthcheck", target_, "--timeout", "never"}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"healthcheck", "--help"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("Example"));
}

}  // namespace
}  // namespace backfire::cli
