#include "services/rpc/name_follower.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/dns_target.h"
#include "services/base/mutex.h"

namespace backfire::runtime {
namespace {

using std::chrono::steady_clock;

// A name that nobody asked for in so long is not followed any more.
constexpr std::chrono::minutes kForgotten(10);

}  // namespace

absl::StatusOr<std::vector<std::string>> ResolveTarget(const std::string& target) {
  const absl::StatusOr<DnsTarget> parsed = ParseDnsTarget(target);
  if (!parsed.ok()) return parsed.status();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(parsed->name.c_str(), parsed->port.c_str(), &hints, &found);
  // A name without a process is none to most resolvers.
  if (error == EAI_NONAME || error == EAI_NODATA) return std::vector<std::string>();
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(parsed->name, " can't be resolved: ",
                     error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::set<std::string> targets;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char host[NI_MAXHOST] = "";
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof(host), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
      continue;
    }
    const bool is_ipv6 = one->ai_family == AF_INET6;
    targets.insert(absl::StrCat(parsed->name, "@", is_ipv6 ? "[" : "", host, is_ipv6 ? "]:" : ":",
                                parsed->port));
  }
  return std::vector<std::string>(targets.begin(), targets.end());
}

// Owned by the thread as well: it can't be joined while the resolver hangs.
struct NameFollower::State {
  struct Name {
    bool is_known = false;  // It was resolved, or could not be, at least once.
    bool is_well = true;    // The last time.
    std::vector<std::string> targets;
    steady_clock::time_point last_asked;
  };

  State(Resolve resolver, std::chrono::milliseconds pause)
      : resolve(std::move(resolver)), interval(pause) {}

  void Follow() {
    MutexLock lock(mutex);
    while (!stopping) {
      const auto due = steady_clock::now() + interval;
      std::vector<std::string> round;
      for (auto one = names.begin(); one != names.end();) {
        if (steady_clock::now() - one->second.last_asked > kForgotten) {
          one = names.erase(one);
        } else {
          round.push_back((one++)->first);
        }
      }
      for (const std::string& name : round) {
        mutex.Unlock();
        absl::StatusOr<std::vector<std::string>> targets = resolve(name);
        mutex.Lock();
        if (stopping) return;
        Take(name, std::move(targets));
      }
      has_new = false;
      for (const auto& [name, known] : names) has_new = has_new || !known.is_known;
      while (!stopping && !has_new && steady_clock::now() < due) changed.WaitUntil(mutex, due);
    }
  }

  void Take(const std::string& name, absl::StatusOr<std::vector<std::string>> targets)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Name& known = names[name];
    if (targets.ok() && *targets != known.targets) {
      spdlog::info("name state=RESOLVED name={} addresses={}", name, absl::StrJoin(*targets, ","));
      known.targets = *std::move(targets);
    } else if (!targets.ok() && known.is_well) {
      spdlog::warn("name state=NOT_RESOLVED name={} error=\"{}\"", name,
                   std::string(targets.status().message()));
    }
    known.is_well = targets.ok();
    known.is_known = true;
    changed.NotifyAll();
  }

  const Resolve resolve;
  const std::chrono::milliseconds interval;
  Mutex mutex;
  CondVar changed;
  std::map<std::string, Name> names ABSL_GUARDED_BY(mutex);
  bool has_new ABSL_GUARDED_BY(mutex) = false;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

NameFollower::NameFollower(Resolve resolve, std::chrono::milliseconds interval)
    : state_(std::make_shared<State>(std::move(resolve), interval)) {
  std::thread([state = state_] { state->Follow(); }).detach();
}

NameFollower::~NameFollower() {
  MutexLock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.NotifyAll();
}

std::vector<std::string> NameFollower::Expand(const std::vector<std::string>& targets,
                                              absl::Duration patience) {
  const auto deadline = steady_clock::now() + absl::ToChronoMilliseconds(patience);
  std::vector<std::string> expanded;
  MutexLock lock(state_->mutex);
  for (const std::string& target : targets) {
    if (!IsDnsTarget(target)) {
      expanded.push_back(target);
      continue;
    }
    State::Name& asked = state_->names[target];
    asked.last_asked = steady_clock::now();
    if (!asked.is_known) {
      state_->has_new = true;
      state_->changed.NotifyAll();
    }
    // By name: while it waits the thread may forget others.
    while (!state_->names[target].is_known && steady_clock::now() < deadline) {
      state_->changed.WaitUntil(state_->mutex, deadline);
    }
    const State::Name& known = state_->names[target];
    expanded.insert(expanded.end(), known.targets.begin(), known.targets.end());
  }
  return expanded;
}

}  // namespace backfire::runtime
