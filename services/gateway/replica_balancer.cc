#include "services/gateway/replica_balancer.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace backfire::gateway {

std::string ReplicaBalancer::Begin(const std::vector<std::string>& endpoints,
                                   const std::set<std::string>& tried, Clock::time_point now) {
  MutexLock lock(mutex_);
  if (loads_.size() > kMostKnown) ForgetIdle();
  const std::string* best = nullptr;
  std::tuple<bool, int64_t, uint64_t> least;
  for (const std::string& endpoint : endpoints) {
    if (tried.count(endpoint) > 0) continue;
    const Load& load = loads_[endpoint];
    const bool doubtful = load.failures > 0 && (now < load.avoided_until || load.in_flight > 0);
    const std::tuple rank(doubtful, load.in_flight, load.last_turn);
    if (best != nullptr && rank >= least) continue;
    best = &endpoint;
    least = rank;
  }
  if (best == nullptr) return "";
  Load& load = loads_[*best];
  ++load.in_flight;
  load.last_turn = ++turn_;
  return *best;
}

void ReplicaBalancer::ForgetIdle() {
  for (auto load = loads_.begin(); load != loads_.end();) {
    load = load->second.in_flight == 0 ? loads_.erase(load) : std::next(load);
  }
}

void ReplicaBalancer::End(const std::string& endpoint, Outcome outcome, Clock::time_point now) {
  MutexLock lock(mutex_);
  Load& load = loads_.at(endpoint);
  --load.in_flight;
  switch (outcome) {
    case Outcome::kServed:
      load.failures = 0;
      break;
    case Outcome::kFailed: {
      // Calls that were in flight together fail together: that is one failure.
      if (load.failures > 0 && now < load.avoided_until) break;
      if (load.failures == 0) load.failing_since = now;
      const int doublings = std::min(load.failures++, 10);
      load.avoided_until = now + std::min(kAvoided * (1 << doublings), kLongestAvoided);
      break;
    }
    case Outcome::kUnknown:
      break;
  }
}

bool ReplicaBalancer::MayReturn(const std::vector<std::string>& endpoints,
                                Clock::time_point now) const {
  MutexLock lock(mutex_);
  for (const std::string& endpoint : endpoints) {
    const auto load = loads_.find(endpoint);
    if (load == loads_.end() || load->second.failures == 0 ||
        now < load->second.failing_since + kLikelyRestart) {
      return true;
    }
  }
  return false;
}

}  // namespace backfire::gateway
