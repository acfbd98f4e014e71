// Replicas behind one name, as a headless Service of Kubernetes has its pods: processes on
// addresses of a loopback of this test's own, behind a name in a hosts file of its own, which the
// machine's real resolver reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using testing::ToyClient;

// A network and a view of the file system of this process's own, with `hosts` in the place of
// /etc/hosts. Returns what was refused; empty: nothing. Must be called before any thread starts.
std::string IsolateWith(const std::string& hosts) {
  const auto refused = [](const char* what) {
    return absl::StrCat(what, ": ", std::strerror(errno));
  };
  const uid_t user = ::getuid();
  const gid_t group = ::getgid();
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0) return refused("unshare");
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << absl::StrCat("0 ", user, " 1");
    std::ofstream("/proc/self/gid_map") << absl::StrCat("0 ", group, " 1");
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return refused("mount /");
  if (::mount(hosts.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0) {
    return refused("mount /etc/hosts");
  }
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return refused("socket");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  const int result = ::ioctl(socket, SIOCSIFFLAGS, &loopback);
  const std::string error = result == 0 ? "" : refused("loopback");
  ::close(socket);
  return error;
}

class DnsReplicaTest : public testing::OrchestratorFixture {
 protected:
  DnsReplicaTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  static void SetUpTestSuite() {
    static const testing::TemporaryDirectory directory;
    hosts_ = (directory / "hosts").string();
    SetHosts({});
    refused_ = IsolateWith(hosts_);
  }
  void SetUp() override {
    if (!refused_.empty()) GTEST_SKIP() << "needs namespaces of its own: " << refused_;
    StartService("a");
    StartService("b");
    StartPod("127.0.0.2");
    StartPod("127.0.0.3");
    SetHosts({"127.0.0.2", "127.0.0.3"});
    StartOrchestrator({"--lease-seconds=2"});
    v1::System system = System();
    system.mutable_service_timeout()->set_seconds(1);
    for (v1::Vertex& vertex : *system.mutable_vertices()) {
      if (vertex.endpoint() == Target("a")) vertex.add_replicas("dns:pods:7000");
    }
    Apply(system);
    Start("g", {BACKFIRE_GATEWAY, "--listen=" + Target("g"), "--orchestrator=" + Target("o")});
    ASSERT_TRUE(testing::WaitUntilReady(Target("g"), *processes_.at("g")));
  }

  // What the name `pods` has.
  static void SetHosts(const std::set<std::string>& addresses) {
    std::string text = "127.0.0.1 localhost\n";
    for (const std::string& address : addresses) absl::StrAppend(&text, address, " pods\n");
    std::ofstream(hosts_) << text;  // Into the same file: it is mounted.
  }
  void StartPod(const std::string& address) {
    Start(address, {toy_service_, "--listen=" + address + ":7000", "--replica-of=" + Target("a"),
                    "--data-dir=" + (directory_ / (address + ".d")).string()});
    ASSERT_TRUE(testing::WaitUntilReady(address + ":7000", *processes_.at(address)))
        << processes_.at(address)->Log();
  }
  // Until `done`, for at most half a minute.
  static bool Eventually(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  static bool Has(const std::string& address, const std::string& version) {
    v1::GetVersionRequest request;
    request.set_name(version);
    const auto found =
        ToyClient(address + ":7000").Call(&v1::ModelService::Stub::GetVersion, request);
    return found.ok() && found->loaded();
  }
  bool Answers() { return ToyClient(Target("g")).Infer("toy", "", "x", 2).ok(); }

  static std::string hosts_, refused_;
  const std::string first_ = "models/first/versions/1", second_ = "models/first/versions/2";
};
std::string DnsReplicaTest::hosts_, DnsReplicaTest::refused_;

TEST_F(DnsReplicaTest, EachProcessBehindTheNameIsLoadedAndCalled) {
  for (const char* address : {"127.0.0.2", "127.0.0.3"}) {
    EXPECT_TRUE(Eventually([&] { return Has(address, first_); })) << address;
  }
  const std::string update = Propose("right", "right", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(Promote(update).ok());
  for (const char* address : {"127.0.0.2", "127.0.0.3"}) {
    EXPECT_TRUE(Has(address, second_)) << address;
  }
  // Without the vertex's endpoint, by either of them alone.
  ASSERT_TRUE(Eventually([&] { return Answers(); }));
  Kill("a");
  Kill("127.0.0.2");
  EXPECT_TRUE(Eventually([&] { return Answers(); }));
  StartPod("127.0.0.2");
  Kill("127.0.0.3");
  EXPECT_TRUE(Eventually([&] { return Answers(); }));
  Kill("127.0.0.2");
  EXPECT_FALSE(Answers());
}

TEST_F(DnsReplicaTest, ProcessesAreFollowedAsTheyComeAndGo) {
  ASSERT_TRUE(Eventually([&] { return Answers(); }));
  // Another one, empty; the others go, as in a rollout.
  StartPod("127.0.0.4");
  SetHosts({"127.0.0.2", "127.0.0.3", "127.0.0.4"});
  EXPECT_TRUE(Eventually([&] { return Has("127.0.0.4", first_); }));
  SetHosts({"127.0.0.4"});
  Kill("127.0.0.2");
  Kill("127.0.0.3");
  Kill("a");
  EXPECT_TRUE(Eventually([&] { return Answers(); }));
}

TEST_F(DnsReplicaTest, WhatIsUnloadedIsUnloadedBehindTheName) {
  const std::string update = Propose("left", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  for (const char* address : {"127.0.0.2", "127.0.0.3"}) {
    ASSERT_TRUE(Eventually([&] { return Has(address, second_); })) << address;
  }
  v1::CancelUpdateRequest cancel;
  cancel.set_name(update);
  ASSERT_TRUE(Call(&Stub::CancelUpdate, cancel).ok());
  for (const char* address : {"127.0.0.2", "127.0.0.3"}) {
    EXPECT_TRUE(Eventually([&] { return !Has(address, second_); })) << address;
    EXPECT_TRUE(Has(address, first_)) << address;
  }
}

}  // namespace
}  // namespace backfire
