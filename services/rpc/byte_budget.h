#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/base/mutex.h"
#include "services/rpc/identities.h"

namespace backfire::runtime {

/// How many bytes of messages the calls in flight at a server may hold together, once gRPC has
/// handed them over: its own budget, RpcServerOptions::memory_bytes, counts what it still has. An
/// identity with a name may hold three quarters, so that none keeps the others out; nobody in
/// particular, and whoever has the mesh's token, may hold all. Thread-safe.
class ByteBudget {
 public:
  /// @param most        Bytes, > 0.
  /// @param identities  Tells who callers are; null: nobody has a name.
  explicit ByteBudget(int64_t most, std::shared_ptr<const Identities> identities = nullptr)
      : most_(most), identities_(std::move(identities)) {}

  /// What one call holds, for as long as it lives.
  class Hold {
   public:
    /// @param budget  Borrowed.
    Hold(ByteBudget& budget, std::string identity)
        : budget_(budget), identity_(std::move(identity)) {}
    Hold(ByteBudget& budget, const grpc::ServerContextBase& context)
        : Hold(budget, budget.NameOf(context)) {}
    ~Hold() { budget_.GiveBack(identity_, bytes_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    /// Holds more. RESOURCE_EXHAUSTED, and holds what it held: that would be too much for all, or
    /// for the identity.
    absl::Status Add(int64_t bytes);

   private:
    ByteBudget& budget_;
    const std::string identity_;
    int64_t bytes_ = 0;
  };

 private:
  std::string NameOf(const grpc::ServerContextBase& context) const;
  absl::Status Take(const std::string& identity, int64_t bytes);
  void GiveBack(const std::string& identity, int64_t bytes);

  const int64_t most_;
  const std::shared_ptr<const Identities> identities_;
  Mutex mutex_;
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int64_t> held_of_ ABSL_GUARDED_BY(mutex_);  // Of those that hold any.
};

}  // namespace backfire::runtime
