#include "orchestrator/cli/startup.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/rpc/channel.h"
#include "services/rpc/gateway_channel.h"

namespace backfire::cli {
namespace {

using std::chrono::steady_clock;

/// Watches one server's health on a thread of its own, and says by an eventfd that it is up.
class HealthWatch {
 public:
  HealthWatch(const AwaitedServer& server, absl::Duration timeout, int up_event)
      : must_serve_(!server.is_gateway),
        up_event_(up_event),
        channel_(server.is_gateway ? runtime::MakeGatewayChannel(server.endpoint)
                                   : runtime::MakeChannel(server.endpoint)) {
    runtime::SetDeadline(context_, timeout);
    context_.set_wait_for_ready(true);
    thread_ = std::thread([this] { Watch(); });
  }
  ~HealthWatch() {
    context_.TryCancel();
    thread_.join();
  }
  bool up() {
    MutexLock lock(mutex_);
    return up_;
  }

 private:
  void Watch() {
    const auto stub = grpc::health::v1::Health::NewStub(channel_);
    const auto reader = stub->Watch(&context_, {});
    grpc::health::v1::HealthCheckResponse response;
    while (reader->Read(&response)) {
      if (must_serve_ && response.status() != grpc::health::v1::HealthCheckResponse::SERVING)
        continue;
      {
        MutexLock lock(mutex_);
        up_ = true;
      }
      const uint64_t one = 1;
      // Fails only if 2^64 - 1 events wait.
      [[maybe_unused]] const ssize_t written = ::write(up_event_, &one, sizeof(one));
      break;
    }
    context_.TryCancel();
    reader->Finish();  // Its status says nothing that the deadline or the process's end does not.
  }

  const bool must_serve_;
  const int up_event_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  Mutex mutex_;
  bool up_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::Status Ended(const std::string& name, const ProcessId& process) {
  const std::string how = DescribeEnd(process);
  return absl::InternalError(absl::StrCat(name, " ", how.empty() ? "ended" : how));
}

/// Readable once SIGINT or SIGTERM came.
int OpenSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return ::signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace

absl::Status AwaitServers(const std::vector<AwaitedServer>& servers, absl::Duration timeout,
                          const std::function<void(const AwaitedServer&)>& on_up) {
  const Descriptor signal(OpenSignals());
  const Descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (signal.get() < 0 || event.get() < 0) return ErrnoToStatus(errno, "signalfd or eventfd");

  struct Pending {
    const AwaitedServer* server;
    std::optional<ProcessWatch> process;
    std::unique_ptr<HealthWatch> health;
  };
  std::list<Pending> pending;
  for (const AwaitedServer& server : servers) {
    Pending entry{&server, std::nullopt, nullptr};
    if (server.process.pid != 0) {
      absl::StatusOr<ProcessWatch> watch = ProcessWatch::Open(server.process);
      if (absl::IsNotFound(watch.status())) return Ended(server.name, server.process);
      if (!watch.ok()) return watch.status();
      entry.process = *std::move(watch);
    }
    entry.health = std::make_unique<HealthWatch>(server, timeout, event.get());
    pending.push_back(std::move(entry));
  }

  const auto deadline = steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  while (!pending.empty()) {
    std::vector<pollfd> polled = {{signal.get(), POLLIN, 0}, {event.get(), POLLIN, 0}};
    std::vector<const AwaitedServer*> polled_servers;
    for (const Pending& entry : pending) {
      if (!entry.process) continue;
      polled.push_back({entry.process->descriptor(), POLLIN, 0});
      polled_servers.push_back(entry.server);
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    const int ready =
        ::poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno != EINTR) return ErrnoToStatus(errno, "poll");
    if (ready == 0) {
      const auto name = [](std::string* out, const Pending& entry) {
        absl::StrAppend(out, entry.server->name, " (", entry.server->endpoint, ")");
      };
      return absl::DeadlineExceededError(absl::StrCat("not up after ",
                                                      absl::FormatDuration(timeout), ": ",
                                                      absl::StrJoin(pending, ", ", name)));
    }
    if (polled[0].revents != 0) return absl::CancelledError("interrupted");
    for (size_t i = 0; i < polled_servers.size(); ++i) {
      if (polled[i + 2].revents != 0)
        return Ended(polled_servers[i]->name, polled_servers[i]->process);
    }
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = ::read(event.get(), &count, sizeof(count));
    for (auto entry = pending.begin(); entry != pending.end();) {
      if (!entry->health->up()) {
        ++entry;
        continue;
      }
      on_up(*entry->server);
      entry = pending.erase(entry);
    }
  }
  return absl::OkStatus();
}

absl::Status AwaitSignalOrEnd(const std::vector<NamedProcess>& processes) {
  const Descriptor signal(OpenSignals());
  if (signal.get() < 0) return ErrnoToStatus(errno, "signalfd");
  std::vector<ProcessWatch> watches;
  std::vector<pollfd> polled = {{signal.get(), POLLIN, 0}};
  for (const NamedProcess& named : processes) {
    absl::StatusOr<ProcessWatch> watch = ProcessWatch::Open(named.process);
    if (absl::IsNotFound(watch.status())) return Ended(named.name, named.process);
    if (!watch.ok()) return watch.status();
    watches.push_back(*std::move(watch));
    polled.push_back({watches.back().descriptor(), POLLIN, 0});
  }
  while (::poll(polled.data(), polled.size(), -1) < 0) {
    if (errno != EINTR) return ErrnoToStatus(errno, "poll");
  }
  if (polled[0].revents != 0) return absl::OkStatus();
  for (size_t i = 0; i < processes.size(); ++i) {
    if (polled[i + 1].revents != 0) return Ended(processes[i].name, processes[i].process);
  }
  return absl::InternalError("poll returned for no reason");
}

std::string LastLines(const std::string& path, int count) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return "";
  std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  if (static_cast<int>(lines.size()) > count) lines.erase(lines.begin(), lines.end() - count);
  std::string joined;
  for (const std::string& line : lines) absl::StrAppend(&joined, "  ", line, "\n");
  return joined;
}

}  // namespace backfire::cli
