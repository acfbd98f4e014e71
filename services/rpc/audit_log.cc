#include "services/rpc/audit_log.h"

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/server_context.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/rpc/rpc_metrics.h"

namespace backfire::runtime {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr size_t kFileBytes = size_t{16} << 20;
constexpr size_t kFiles = 5;
constexpr size_t kLongestText = 1024;

/// A text field of a request, whatever the request is; empty: it has none.
std::string FieldOf(const google::protobuf::Message& message, const char* name) {
  const auto* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() ||
      field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return message.GetReflection()->GetString(message, field);
}

class AuditInterceptor final : public grpc::experimental::Interceptor {
 public:
  AuditInterceptor(std::string method, AuditLog& log, const Identities* identities,
                   const grpc::ServerContextBase& context)
      : log_(log), identities_(identities), context_(context) {
    entry_.method = std::move(method);
    entry_.status = absl::CancelledError("the call ended without a status");
  }
  ~AuditInterceptor() override {
    if (!written_) log_.Write(entry_);
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      entry_.peer = context_.peer();
      if (identities_ != nullptr) entry_.caller = identities_->CallerOf(context_);
    }
    // Of a stream, the first says what it is about.
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) && !read_) {
      if (const void* message = methods->GetRecvMessage(); message != nullptr) {
        read_ = true;
        Read(*static_cast<const google::protobuf::Message*>(message));
      }
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      entry_.status =
          absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
      written_ = true;
      log_.Write(entry_);
    }
    methods->Proceed();
  }

 private:
  void Read(const google::protobuf::Message& request) {
    entry_.request_id = FieldOf(request, "request_id");
    entry_.reason = FieldOf(request, "reason");
    entry_.claimed = FieldOf(request, "actor");
    for (const char* field : {"name", "vertex", "model"}) {
      if (entry_.name.empty()) entry_.name = FieldOf(request, field);
    }
  }

  AuditLog& log_;
  const Identities* identities_;
  const grpc::ServerContextBase& context_;
  AuditEntry entry_;
  bool read_ = false, written_ = false;
};

class AuditFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  AuditFactory(Surface surface, std::shared_ptr<AuditLog> log,
               std::shared_ptr<const Identities> identities)
      : surface_(surface), log_(std::move(log)), identities_(std::move(identities)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    const MethodRule* rule = FindRule(surface_, info->method());
    if (rule == nullptr || !rule->changes) return nullptr;
    return new AuditInterceptor(info->method(), *log_, identities_.get(),
                                *info->server_context());  // gRPC deletes it.
  }

 private:
  const Surface surface_;
  const std::shared_ptr<AuditLog> log_;
  const std::shared_ptr<const Identities> identities_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<AuditLog>> AuditLog::Open(const std::filesystem::path& path) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  try {
    // With a name that spdlog doesn't keep: a process may have several.
    auto logger = std::make_shared<spdlog::logger>(
        "audit",
        std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path.string(), kFileBytes, kFiles));
    logger->set_pattern("%v");
    logger->flush_on(spdlog::level::info);
    return std::shared_ptr<AuditLog>(new AuditLog(std::move(logger)));
  } catch (const spdlog::spdlog_ex& error) {
    return absl::InternalError(absl::StrCat(path.string(), ": ", error.what()));
  }
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAudit(
    Surface surface, std::shared_ptr<AuditLog> log, std::shared_ptr<const Identities> identities) {
  return std::make_unique<AuditFactory>(surface, std::move(log), std::move(identities));
}

void AuditLog::Write(const AuditEntry& entry) {
  google::protobuf::Struct line;
  const auto set = [&line](const char* key, const std::string& text) {
    if (!text.empty()) (*line.mutable_fields())[key].set_string_value(text.substr(0, kLongestText));
  };
  set("time", absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone()));
  set("method", entry.method);
  set("outcome", std::string(StatusCodeLabel(static_cast<int>(entry.status.code()))));
  set("caller", entry.caller.name);
  set("roles", entry.caller.roles.ToString());
  set("claimed", entry.claimed);
  set("peer", entry.peer);
  set("name", entry.name);
  set("request_id", entry.request_id);
  set("reason", entry.reason);
  set("error", std::string(entry.status.message()));
  std::string json;
  // Texts that are no UTF-8 can't be written as JSON; what happened is said all the same.
  if (!google::protobuf::util::MessageToJsonString(line, &json).ok()) {
    json = absl::StrCat(R"({"method":")", entry.method, R"(","outcome":")",
                        std::string(StatusCodeLabel(static_cast<int>(entry.status.code()))), "\"}");
  }
  logger_->info("{}", json);
}

}  // namespace backfire::runtime
