#include "services/gateway/replica_balancer.h"

#include <tuple>

namespace backfire::gateway {

std::string ReplicaBalancer::Begin(const std::vector<std::string>& endpoints,
                                   const std::set<std::string>& tried, Clock::time_point now) {
  MutexLock lock(mutex_);
  const std::string* best = nullptr;
  std::tuple<bool, int64_t, uint64_t> least;
  for (const std::string& endpoint : endpoints) {
    if (tried.count(endpoint) > 0) continue;
    const Load& load = loads_[endpoint];
    const std::tuple rank(now < load.avoided_until, load.in_flight, load.last_turn);
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

void ReplicaBalancer::End(const std::string& endpoint, bool reached, Clock::time_point now) {
  MutexLock lock(mutex_);
  Load& load = loads_.at(endpoint);
  --load.in_flight;
  load.avoided_until = reached ? Clock::time_point() : now + kAvoided;
}

}  // namespace backfire::gateway
