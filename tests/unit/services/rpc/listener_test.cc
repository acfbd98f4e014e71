// A server that must outlive its descriptors: its listener, its page, and its watch over itself.
#include "services/rpc/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "services/base/mutex.h"
#include "services/rpc/descriptors.h"
#include "services/rpc/listener_watch.h"
#include "services/rpc/metrics_server.h"
#include "tests/support/metrics_page.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

/// A connection to a unix socket or to a port of 127.0.0.1; -1: refused.
int Connect(const std::string& target) {
  const size_t colon = target.rfind(':');
  const bool is_unix = target.substr(0, 5) == "unix:";
  const int descriptor = ::socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  sockaddr_un file{};
  file.sun_family = AF_UNIX;
  sockaddr_in port{};
  port.sin_family = AF_INET;
  port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (is_unix) {
    std::strncpy(file.sun_path, target.c_str() + 5, sizeof(file.sun_path) - 1);
  } else {
    port.sin_port = htons(static_cast<uint16_t>(std::stoi(target.substr(colon + 1))));
  }
  const auto* address =
      is_unix ? reinterpret_cast<sockaddr*>(&file) : reinterpret_cast<sockaddr*>(&port);
  if (::connect(descriptor, address, is_unix ? sizeof(file) : sizeof(port)) == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

/// Whether the other side closes the connection within a minute.
bool IsClosed(int descriptor) {
  pollfd polled{descriptor, POLLIN, 0};
  char byte = 0;
  return ::poll(&polled, 1, 60'000) == 1 && ::recv(descriptor, &byte, 1, MSG_PEEK) <= 0;
}

/// Lowers this process's limits on descriptors for a scope.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lowered{limit, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(ListenerTest, ClosesWhatIsAboveItsHighestDescriptorAndGoesOn) {
  const testing::TemporaryDirectory directory;
  const std::string target = "unix:" + (directory / "socket").string();
  const int lowest = ::dup(STDERR_FILENO);
  ::close(lowest);
  const auto listener = Listener::Bind(target, lowest + 20);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::vector<int> taken;
  Mutex mutex;
  (*listener)->Accept([&](int, int connection) {
    MutexLock lock(mutex);
    taken.push_back(connection);
  });
  std::vector<int> clients;
  while ((*listener)->refused() == 0) clients.push_back(Connect(target));
  EXPECT_TRUE(IsClosed(clients.back()));
  for (const int client : clients) ::close(client);
  {
    MutexLock lock(mutex);
    EXPECT_LE(taken.size(), 20u);
    for (const int connection : taken) ::close(connection);
  }
  const int64_t before = (*listener)->accepted();
  const int client = Connect(target);
  ASSERT_GE(client, 0);
  while ((*listener)->accepted() == before) {
  }
  (*listener)->Stop();
  EXPECT_LT(Connect(target), 0);
  ::close(client);
  MutexLock lock(mutex);
  ::close(taken.back());
}

TEST(ListenerTest, GoesOnAfterTheLastDescriptorWasUsed) {
  const testing::TemporaryDirectory directory;
  const std::string target = "unix:" + (directory / "socket").string();
  const auto listener = Listener::Bind(target, 1 << 20);
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::vector<int> clients;
  std::vector<int> waste;
  // They wait in the kernel, and are accepted when there is no descriptor left.
  for (int i = 0; i < 5; ++i) clients.push_back(Connect(target));
  const int lowest = ::dup(STDERR_FILENO);
  ::close(lowest);
  std::vector<int> taken;
  Mutex mutex;
  {
    const DescriptorLimit limit(static_cast<rlim_t>(lowest) + 8);
    for (int one = 0; (one = ::dup(STDERR_FILENO)) >= 0;) waste.push_back(one);
    (*listener)->Accept([&](int, int connection) {
      MutexLock lock(mutex);
      taken.push_back(connection);
    });
    for (const int client : clients) EXPECT_TRUE(IsClosed(client));
    EXPECT_EQ((*listener)->refused(), 5);
    for (const int one : waste) ::close(one);
  }
  const int client = Connect(target);
  while ((*listener)->accepted() == 0) {
  }
  (*listener)->Stop();
  for (const int one : clients) ::close(one);
  ::close(client);
  MutexLock lock(mutex);
  for (const int one : taken) ::close(one);
}

TEST(ListenerTest, BindsEveryAddressOfANameAtOnePort) {
  const auto listener = Listener::Bind("localhost:0", 1000);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const std::string address = (*listener)->address();
  EXPECT_THAT(address, HasSubstr("localhost:"));
  EXPECT_EQ(Listener::Bind(address, 1000).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Listener::Bind("unix:", 1000).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Listener::Bind("nowhere", 1000).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Listener::Bind("203.0.113.7:0", 1000).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST(ListenerTest, KeepsAFileThatIsNoSocketAndReplacesOneThatNobodyListensOn) {
  const testing::TemporaryDirectory directory;
  const std::string path = (directory / "socket").string();
  ::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EQ(Listener::Bind("unix:" + path, 1000).status().code(), absl::StatusCode::kAlreadyExists);
  ::unlink(path.c_str());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(left, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(left);  // As a process that was killed leaves it.
  const auto listener = Listener::Bind("unix:" + path, 1000);
  EXPECT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(Listener::Bind("unix:" + path, 1000).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(ListenerWatchTest, SaysWhenNobodyAnswersAndNotWhenOneRefuses) {
  const testing::TemporaryDirectory directory;
  const ListenerWatchOptions quick{std::chrono::milliseconds(1), std::chrono::milliseconds(200), 2};
  // Bound, and never accepted: as a listener whose loop has ended.
  const std::string deaf = "unix:" + (directory / "deaf").string();
  const auto listener = Listener::Bind(deaf, 1000);
  ASSERT_TRUE(listener.ok()) << listener.status();
  Mutex mutex;
  CondVar changed;
  bool said = false;
  {
    const ListenerWatch watch(deaf, quick, [&] {
      MutexLock lock(mutex);
      said = true;
      changed.NotifyAll();
    });
    MutexLock lock(mutex);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!said && changed.WaitUntil(mutex, deadline)) {
    }
    EXPECT_TRUE(said);
  }
  // One that closes every connection has answered.
  const std::string full = "unix:" + (directory / "full").string();
  const auto refusing = Listener::Bind(full, -1);
  ASSERT_TRUE(refusing.ok()) << refusing.status();
  (*refusing)->Accept([](int, int) {});
  bool wrong = false;
  const ListenerWatch watch(full,
                            {std::chrono::milliseconds(1), std::chrono::milliseconds(60'000), 2},
                            [&] { wrong = true; });
  while ((*refusing)->refused() < 10) {
  }
  EXPECT_FALSE(wrong);
}

TEST(MetricsServerTest, HalfRequestsDelayNobody) {
  const auto server = MetricsServer::Start("localhost:0", std::chrono::minutes(1));
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<int> half;
  for (int i = 0; i < 20; ++i) {
    half.push_back(Connect((*server)->address()));
    ASSERT_EQ(::send(half.back(), "GET /met", 8, MSG_NOSIGNAL), 8);
  }
  EXPECT_TRUE(testing::GetMetrics((*server)->address()).ok());
  // More than there is room for: those that came first give way.
  while (half.size() < MetricsServer::kMostConnections + 10) {
    half.push_back(Connect((*server)->address()));
  }
  EXPECT_TRUE(testing::GetMetrics((*server)->address()).ok());
  EXPECT_TRUE(IsClosed(half.front()));
  for (const int one : half) ::close(one);
}

TEST(MetricsServerTest, ClosesAHalfRequestAndAnswersWhatIsNoPageOfIts) {
  const auto server = MetricsServer::Start("[::1]:0", std::chrono::milliseconds(50));
  if (absl::IsAlreadyExists(server.status())) GTEST_SKIP() << "this machine has no [::1]";
  const auto other = MetricsServer::Start("127.0.0.1:0", std::chrono::milliseconds(50));
  ASSERT_TRUE(other.ok()) << other.status();
  const int half = Connect((*other)->address());
  ASSERT_EQ(::send(half, "GET /metrics HTTP/1.1\r\n", 23, MSG_NOSIGNAL), 23);
  EXPECT_TRUE(IsClosed(half));
  ::close(half);
  const auto patient = MetricsServer::Start("127.0.0.1:0", std::chrono::minutes(1));
  ASSERT_TRUE(patient.ok()) << patient.status();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404"},
      {"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405"},
      {"GET /metrics?a=b HTTP/1.1\r\n\r\n", "HTTP/1.1 200"}};
  for (const auto& [request, expected] : cases) {
    const int client = Connect((*patient)->address());
    ASSERT_EQ(::send(client, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    char answer[64] = "";
    ASSERT_GT(::recv(client, answer, sizeof(answer) - 1, 0), 0);
    EXPECT_THAT(answer, HasSubstr(expected));
    ::close(client);
  }
}

TEST(DescriptorsTest, LeaveRoomForWhatIsNoConnection) {
  EXPECT_LT(HighestConnection(64), 32);
  EXPECT_EQ(HighestConnection(1024), 767);
  EXPECT_EQ(HighestConnection(65'536), 49'151);
}

}  // namespace
}  // namespace backfire::runtime
