#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/base/mutex.h"
#include "services/rpc/identities.h"

namespace backfire::runtime {

/// How many calls one identity may have in flight at a server, streams included: each holds a
/// thread, of which nobody is to have all. Nobody in particular, and whoever has the mesh's token,
/// which is one person's, have no budget of their own. Thread-safe.
///
/// A call takes its place at the door, before any of its method runs, and gives it back when it has
/// ended, by an interceptor. Between the two gRPC may drop it (its caller is gone, the server has
/// no thread left), so that a place which no interceptor has taken over is free again after a
/// while.
class CallBudget {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param most  Calls in flight of one identity, > 0.
  explicit CallBudget(int most) : most_(most) {}

  /// Takes a place for a call. RESOURCE_EXHAUSTED: the identity has as many calls in flight as may
  /// be.
  absl::Status Reserve(const std::string& identity, Clock::time_point now = Clock::now());
  /// The call begins: it has its place until End.
  void Begin(const std::string& identity);
  void End(const std::string& identity);
  /// Calls of an identity that have begun, or are about to.
  int InFlight(const std::string& identity) const;

 private:
  struct Use {
    int begun = 0;
    std::deque<Clock::time_point> reserved;  // Of calls that have not begun, oldest first.
  };

  const int most_;
  mutable Mutex mutex_;
  std::map<std::string, Use> uses_ ABSL_GUARDED_BY(mutex_);  // Of those that have any.
};

/// Has each call that `identities` knows by a name hold its place of the budget.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeBudgetKeeper(
    std::shared_ptr<CallBudget> budget, std::shared_ptr<const Identities> identities);

}  // namespace backfire::runtime
