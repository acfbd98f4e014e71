#include "services/rpc/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/rpc/address.h"

namespace backfire::runtime {
namespace {

// A client that is gone is noticed by what waits to be sent to it, as gRPC's own listener has it.
constexpr int kUserTimeoutMs = 10'000;
// Before the next attempt, where the kernel itself lacks something.
constexpr int kPauseMs = 100;
constexpr int kPortAttempts = 32;

absl::Status InUse(const std::string& address) {
  return absl::AlreadyExistsError(
      absl::StrCat("cannot listen on ", address,
                   ": the port is in use, or the host is not an address of this machine"));
}

/// Removes the socket file that a process which has ended left. ALREADY_EXISTS: one still listens.
absl::Status RemoveStaleSocket(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return absl::OkStatus();
  if (!S_ISSOCK(found.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is there, and no socket"));
  }
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return ErrnoToStatus(errno, "socket");
  const int result =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  ::close(descriptor);
  if (result == 0) {
    return absl::AlreadyExistsError(absl::StrCat("another process already listens on unix:", path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

/// Binds a TCP address; -1 with errno set: it can't be.
int BindOne(const sockaddr* address) {
  const int descriptor =
      ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  const auto set = [descriptor](int level, int option, int value) {
    ::setsockopt(descriptor, level, option, &value, sizeof(value));
  };
  // Connections of an ended server that linger on are no obstacle. Connections inherit the rest.
  set(SOL_SOCKET, SO_REUSEADDR, 1);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  if (address->sa_family == AF_INET6) {
    const auto& six = *reinterpret_cast<const sockaddr_in6*>(address);
    // Any address is that of both protocols; one alone is only its own.
    set(IPPROTO_IPV6, IPV6_V6ONLY, IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr) ? 0 : 1);
  }
  if (::bind(descriptor, address,
             address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in)) == 0 &&
      ::listen(descriptor, SOMAXCONN) == 0) {
    return descriptor;
  }
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return -1;
}

void SetPort(sockaddr* address, int port) {
  const auto number = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = number;
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = number;
  }
}

int PortOf(int descriptor) {
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &length);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const std::string& address,
                                                         int64_t highest) {
  std::unique_ptr<Listener> listener(new Listener(address, highest));
  listener->stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  listener->spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (listener->stop_ < 0 || listener->spare_ < 0) return ErrnoToStatus(errno, "eventfd");
  if (IsUnix(address)) {
    BACKFIRE_RETURN_IF_ERROR(listener->BindUnix(UnixPath(address)));
    return listener;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const HostPort parsed, ParseHostPort(address));
  BACKFIRE_RETURN_IF_ERROR(listener->BindTcp(parsed.host, parsed.port));
  listener->address_ =
      absl::StrCat(address.substr(0, address.rfind(':')), ":", PortOf(listener->descriptors_[0]));
  return listener;
}

absl::Status Listener::BindUnix(const std::string& path) {
  BACKFIRE_RETURN_IF_ERROR(CheckUnixPath(address_));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  BACKFIRE_RETURN_IF_ERROR(RemoveStaleSocket(path, address));
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return ErrnoToStatus(errno, "socket");
  descriptors_.push_back(descriptor);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == EADDRINUSE) return InUse(address_);
    return ErrnoToStatus(errno, path);
  }
  socket_file_ = path;
  if (::listen(descriptor, SOMAXCONN) != 0) return ErrnoToStatus(errno, path);
  return absl::OkStatus();
}

absl::Status Listener::BindTcp(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  // Any address is that of both protocols, as clients may try either first.
  const char* name = host == "0.0.0.0" ? "::" : host.c_str();
  if (::getaddrinfo(name, "0", &hints, &found) != 0) return InUse(address_);
  const absl::Cleanup free_addresses = [&found] { ::freeaddrinfo(found); };
  std::vector<sockaddr*> addresses;
  for (addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const bool is_new = std::none_of(addresses.begin(), addresses.end(), [&](const sockaddr* one) {
      return one->sa_family == entry->ai_family &&
             std::memcmp(one, entry->ai_addr, entry->ai_addrlen) == 0;
    });
    if (is_new) addresses.push_back(entry->ai_addr);
  }
  sockaddr_in any{};  // For a kernel without IPv6.
  any.sin_family = AF_INET;
  if (host == "0.0.0.0") addresses.push_back(reinterpret_cast<sockaddr*>(&any));

  // All addresses of a name have one port. One that is free at the first may be taken at another.
  for (int attempt = 0; attempt < (port == 0 ? kPortAttempts : 1); ++attempt) {
    for (const int descriptor : std::exchange(descriptors_, {})) ::close(descriptor);
    bool in_use = false;
    for (sockaddr* address : addresses) {
      if (host == "0.0.0.0" && !descriptors_.empty()) break;
      const bool follows = port == 0 && !descriptors_.empty();
      SetPort(address, follows ? PortOf(descriptors_[0]) : port);
      const int descriptor = BindOne(address);
      if (descriptor >= 0) descriptors_.push_back(descriptor);
      in_use = in_use || (descriptor < 0 && errno == EADDRINUSE);
    }
    // Of localhost, a machine without IPv6 has one address of two; one that is taken is an error.
    if (!descriptors_.empty() && !in_use) return absl::OkStatus();
  }
  return InUse(address_);
}

Listener::~Listener() {
  Stop();
  for (const int descriptor : descriptors_) ::close(descriptor);
  for (const int descriptor : {stop_, spare_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

void Listener::Accept(Take take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Run(); });
}

void Listener::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // Fails only if 2^64 - 1 events wait.
    [[maybe_unused]] const ssize_t written = ::write(stop_, &one, sizeof(one));
    thread_.join();
  }
  for (const int descriptor : descriptors_) ::shutdown(descriptor, SHUT_RDWR);
  if (!socket_file_.empty()) ::unlink(socket_file_.c_str());
  socket_file_.clear();
}

void Listener::Run() {
  std::vector<pollfd> polled = {{stop_, POLLIN, 0}};
  for (const int descriptor : descriptors_) polled.push_back({descriptor, POLLIN, 0});
  while (true) {
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;  // Interrupted.
    if (polled[0].revents != 0) return;
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) AcceptAll(polled[i].fd);
    }
  }
}

void Listener::AcceptAll(int descriptor) {
  while (true) {
    const int connection = ::accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection >= 0 && connection <= highest_) {
      ++accepted_;
      take_(descriptor, connection);
      continue;
    }
    // A line for the first that is refused, and for each thousandth; said before it learns of it.
    const auto count = [this] {
      if (refused_++ % 1000 == 0) {
        spdlog::warn("listener state=FULL endpoint={} accepted={} refused={}", address_,
                     accepted_.load(), refused_.load());
      }
    };
    if (connection >= 0) {
      count();
      ::close(connection);
    } else if (errno == EINTR || errno == ECONNABORTED) {
      continue;
    } else if (errno == EMFILE || errno == ENFILE) {
      // It would wait on, and poll would say so for ever: it is taken to be closed.
      ::close(spare_);
      const int unwanted = ::accept4(descriptor, nullptr, nullptr, SOCK_CLOEXEC);
      if (unwanted >= 0) {
        count();
        ::close(unwanted);
      }
      spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (unwanted < 0) {  // Another thread was quicker: it is tried again in a moment.
        ::poll(nullptr, 0, kPauseMs);
        return;
      }
    } else {
      if (errno != EAGAIN) {
        spdlog::warn("listener state=FAILED endpoint={} error=\"{}\"", address_,
                     std::strerror(errno));
        ::poll(nullptr, 0, kPauseMs);
      }
      return;
    }
  }
}

}  // namespace backfire::runtime
