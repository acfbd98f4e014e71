#include "services/rpc/metrics_server.h"

#include <poll.h>
#include <prometheus/text_serializer.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/rpc/descriptors.h"

namespace backfire::runtime {
namespace {

using std::chrono::steady_clock;

// What a scrape sends is some hundred bytes.
constexpr size_t kLongestRequest = 8192;

std::string Response(const std::string& status, const std::string& type, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Type: ", type,
                      "\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n", body);
}

}  // namespace

/// One request and its response.
struct MetricsServer::Connection {
  int descriptor = -1;
  steady_clock::time_point deadline;
  std::string request;
  std::string response;  ///< Empty: the request has not come whole.
  size_t sent = 0;
};

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, std::chrono::milliseconds patience) {
  BACKFIRE_ASSIGN_OR_RETURN(auto listener,
                            Listener::Bind(address, HighestConnection(RaiseDescriptorLimit())));
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(listener), patience));
  if (server->wake_ < 0) return ErrnoToStatus(errno, "eventfd");
  server->thread_ = std::thread([server = server.get()] { server->Run(); });
  server->listener_->Accept([server = server.get()](int, int connection) {
    MutexLock lock(server->mutex_);
    server->arrived_.push_back(connection);
    ::eventfd_write(server->wake_, 1);
  });
  return server;
}

MetricsServer::MetricsServer(std::unique_ptr<Listener> listener, std::chrono::milliseconds patience)
    : listener_(std::move(listener)),
      patience_(patience),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

MetricsServer::~MetricsServer() {
  listener_->Stop();
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (wake_ >= 0) ::eventfd_write(wake_, 1);
  }
  if (thread_.joinable()) thread_.join();
  if (wake_ >= 0) ::close(wake_);
}

void MetricsServer::Add(std::shared_ptr<const prometheus::Collectable> collectable) {
  MutexLock lock(mutex_);
  shown_.push_back(std::move(collectable));
}

std::string MetricsServer::Page() const {
  std::vector<std::shared_ptr<const prometheus::Collectable>> shown;
  {
    MutexLock lock(mutex_);
    shown = shown_;
  }
  std::vector<prometheus::MetricFamily> families;
  for (const auto& collectable : shown) {
    std::vector<prometheus::MetricFamily> more = collectable->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

/// Reads what has come. False: the connection has ended, or is no HTTP.
bool MetricsServer::Receive(Connection& connection) const {
  char buffer[2048];
  while (true) {
    const ssize_t got = ::recv(connection.descriptor, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) return false;
    connection.request.append(buffer, static_cast<size_t>(got));
    if (connection.request.size() > kLongestRequest) return false;
  }
  if (!absl::StrContains(connection.request, "\r\n\r\n")) return true;
  const std::string line = connection.request.substr(0, connection.request.find("\r\n"));
  if (!absl::StartsWith(line, "GET ")) {
    connection.response = Response("405 Method Not Allowed", "text/plain", "only GET\n");
  } else if (!absl::StartsWith(line, "GET /metrics ") && !absl::StartsWith(line, "GET /metrics?")) {
    connection.response = Response("404 Not Found", "text/plain", "see /metrics\n");
  } else {
    connection.response = Response("200 OK", "text/plain; version=0.0.4; charset=utf-8", Page());
  }
  return true;
}

void MetricsServer::Run() {
  std::deque<Connection> connections;  // By arrival.
  const auto close_at = [&connections](size_t i) {
    ::close(connections[i].descriptor);
    connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(i));
  };
  while (true) {
    std::vector<pollfd> polled = {{wake_, POLLIN, 0}};
    int timeout_ms = -1;
    for (const Connection& connection : connections) {
      polled.push_back({connection.descriptor,
                        static_cast<short>(connection.response.empty() ? POLLIN : POLLOUT), 0});
      // Deadlines grow with arrival: the first is the next.
      if (timeout_ms < 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            connection.deadline - steady_clock::now());
        timeout_ms = static_cast<int>(std::max<int64_t>(left.count() + 1, 0));
      }
    }
    if (::poll(polled.data(), polled.size(), timeout_ms) < 0) continue;  // Interrupted.
    for (size_t i = connections.size(); i-- > 0;) {
      Connection& connection = connections[i];
      bool goes_on = steady_clock::now() < connection.deadline;
      if (goes_on && polled[i + 1].revents != 0 && connection.response.empty()) {
        goes_on = Receive(connection);
      }
      if (goes_on && !connection.response.empty()) {
        const ssize_t sent =
            ::send(connection.descriptor, connection.response.data() + connection.sent,
                   connection.response.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) connection.sent += static_cast<size_t>(sent);
        goes_on = (sent > 0 || errno == EAGAIN || errno == EINTR) &&
                  connection.sent < connection.response.size();
      }
      if (!goes_on) close_at(i);
    }
    eventfd_t count = 0;
    ::eventfd_read(wake_, &count);
    MutexLock lock(mutex_);
    for (const int descriptor : std::exchange(arrived_, {})) {
      if (connections.size() >= kMostConnections) close_at(0);
      connections.push_back({descriptor, steady_clock::now() + patience_, "", "", 0});
    }
    if (stopped_) break;
  }
  for (const Connection& connection : connections) ::close(connection.descriptor);
}

}  // namespace backfire::runtime
