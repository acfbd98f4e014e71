#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <prometheus/registry.h>

#include <memory>

#include "services/rpc/audit_log.h"
#include "services/rpc/call_budget.h"
#include "services/rpc/identities.h"
#include "services/rpc/roles.h"

namespace backfire::runtime {

/// Decides of each call, before any of its method runs, whether its caller may make it, by the
/// table of roles.h. UNAUTHENTICATED: it says nobody, or one who isn't known. PERMISSION_DENIED: it
/// is somebody who may not, or nobody may. RESOURCE_EXHAUSTED: he has too many calls in flight.
/// Thread-safe.
class Door final : public grpc::AuthMetadataProcessor {
 public:
  /// @param identities, audit  Refused calls that would change something are audited, if not null.
  /// @param budget    Of calls in flight, by identity.
  /// @param registry  Gets `backfire_calls_refused_total`. Borrowed, until the server has ended.
  Door(Surface surface, std::shared_ptr<const Identities> identities,
       std::shared_ptr<AuditLog> audit, std::shared_ptr<CallBudget> budget,
       prometheus::Registry& registry);

  /// It only looks up: gRPC may run it on its own threads.
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override;

 private:
  const Surface surface_;
  const std::shared_ptr<const Identities> identities_;
  const std::shared_ptr<AuditLog> audit_;
  const std::shared_ptr<CallBudget> budget_;
  prometheus::Counter& unauthenticated_;
  prometheus::Counter& denied_;
  prometheus::Counter& over_budget_;
};

}  // namespace backfire::runtime
