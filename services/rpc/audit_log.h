#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/rpc/identities.h"
#include "services/rpc/roles.h"

namespace spdlog {
class logger;
}

namespace backfire::runtime {

/// A call that changed something, or was to.
struct AuditEntry {
  std::string method;
  Caller caller;
  std::string claimed;  ///< Who the request says that it is; only said, where `caller` is verified.
  std::string peer;     ///< As gRPC names it: `ipv4:127.0.0.1:51234`; empty: the call was refused.
  std::string name;     ///< The request's `name`, or `vertex`: what it was about; empty: not said.
  std::string request_id;
  std::string reason;
  absl::Status status;
};

/// Who changed what, when, and what came of it: a JSON object a line, in `audit.jsonl` and, once
/// that has 16 MiB, in `audit.1.jsonl` and so on, of which five are kept. Texts are cut at 1 KiB.
/// Thread-safe.
class AuditLog {
 public:
  /// INTERNAL, PERMISSION_DENIED: it can't be written.
  static absl::StatusOr<std::shared_ptr<AuditLog>> Open(const std::filesystem::path& path);
  void Write(const AuditEntry& entry);

 private:
  explicit AuditLog(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}
  const std::shared_ptr<spdlog::logger> logger_;
};

/// Writes an entry for each call of a method that changes something (roles.h), when it ends.
/// @param identities  Null: callers are not known.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAudit(
    Surface surface, std::shared_ptr<AuditLog> log, std::shared_ptr<const Identities> identities);

}  // namespace backfire::runtime
