// Processes that stay alive, whoever connects to them.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/rpc/unary_call.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace backfire {
namespace {

using testing::ChildProcess;

int Connect(const std::string& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

// Whether the other side has closed one of them, within a while.
bool WaitUntilOneIsClosed(const std::vector<int>& connections) {
  std::vector<pollfd> polled;
  for (const int one : connections) polled.push_back({one, POLLIN, 0});
  for (int round = 0; round < 300; ++round) {
    if (::poll(polled.data(), polled.size(), /*timeout_ms=*/100) <= 0) continue;
    for (const pollfd& one : polled) {
      char bytes[4096];  // What a server says first.
      if (one.revents != 0 && ::recv(one.fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0) return true;
    }
  }
  return false;
}

TEST(RobustnessTest, AnswersAgainAfterMoreIdleConnectionsThanItHasDescriptors) {
  const testing::TemporaryDirectory directory;
  const std::string path = (directory / "gateway").string();
  // Both limits: it can't raise the soft one.
  const ChildProcess gateway(
      {"/bin/sh", "-c", "ulimit -n 128; exec \"$@\"", "sh", BACKFIRE_GATEWAY,
       "--listen=unix:" + path, "--orchestrator=unix:" + (directory / "nowhere").string()},
      (directory / "log").string());
  ASSERT_TRUE(testing::WaitUntilLive("unix:" + path)) << gateway.Log();
  for (int round = 0; round < 2; ++round) {
    std::vector<int> idle;
    for (int i = 0; i < 300; ++i) {
      const int one = Connect(path);
      ASSERT_GE(one, 0) << "connection " << i << ": the listener is gone\n" << gateway.Log();
      idle.push_back(one);
    }
    // Not all can be taken: some are closed by the other side.
    EXPECT_TRUE(WaitUntilOneIsClosed(idle)) << gateway.Log();
    for (const int one : idle) ::close(one);
    EXPECT_TRUE(testing::WaitUntilLive("unix:" + path)) << gateway.Log();
  }
  EXPECT_NE(gateway.Log().find("listener state=FULL"), std::string::npos) << gateway.Log();
}

TEST(RobustnessTest, WatchesLeaveRoomForCallsThatAct) {
  const testing::TemporaryDirectory directory;
  const std::string target = "unix:" + (directory / "orchestrator").string();
  const ChildProcess orchestrator(
      {BACKFIRE_ORCHESTRATOR, "--listen=" + target, "--data-dir=" + (directory / "data").string()},
      (directory / "log").string());
  ASSERT_TRUE(testing::WaitUntilServing(target)) << orchestrator.Log();
  const auto stub = v1::Orchestrator::NewStub(runtime::MakeChannel(target));
  struct Watch {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::GatewayReport, v1::ReleaseSnapshot>> stream;
  };
  std::list<Watch> watches;
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    Watch& watch = watches.emplace_back();
    watch.stream = stub->WatchReleases(&watch.context);
    watch.stream->Write(v1::GatewayReport());
    v1::ReleaseSnapshot snapshot;
    if (watch.stream->Read(&snapshot)) continue;
    EXPECT_EQ(watch.stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    watches.pop_back();
    ++refused;
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(watches.size(), 50u);
  // A rollback is heard: there is no such release, which is an answer.
  v1::RollbackReleaseRequest rollback;
  rollback.set_name("releases/1");
  rollback.set_reason("emergency");
  const auto answer = runtime::UnaryCall(*stub, &v1::Orchestrator::Stub::RollbackRelease, rollback,
                                         absl::Minutes(1));
  EXPECT_TRUE(absl::IsNotFound(answer.status())) << answer.status();
  for (Watch& watch : watches) {
    watch.context.TryCancel();
    watch.stream->Finish();
  }
}

}  // namespace
}  // namespace backfire
