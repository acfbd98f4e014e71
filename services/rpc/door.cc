#include "services/rpc/door.h"

#include <grpc/grpc_security_constants.h>
#include <prometheus/counter.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/token.h"

namespace backfire::runtime {
namespace {

std::string StringOf(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string Find(const grpc::AuthMetadataProcessor::InputMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : StringOf(found->second);
}

/// Whether the caller may; else why not.
absl::Status Decide(const MethodRule* rule, const std::string& method, const Caller& caller,
                    bool strict) {
  const bool is_somebody = !caller.roles.empty();
  if (rule != nullptr && (caller.roles.Overlap(rule->roles) || (rule->anyone && !strict))) {
    return absl::OkStatus();
  }
  // A load balancer's probe has no identity, and learns nothing.
  if (rule != nullptr && rule->anyone && strict && rule->method == "/grpc.health.v1.Health/Check") {
    return absl::OkStatus();
  }
  if (!is_somebody) {
    return absl::UnauthenticatedError(
        absl::StrCat(method, " needs an identity: send `authorization: Bearer TOKEN`, with the ",
                     "token of the mesh's data directory (BACKFIRE_TOKEN_FILE), or a certificate"));
  }
  if (rule == nullptr || rule->roles.empty()) {
    return absl::PermissionDeniedError(absl::StrCat(method, " is denied to everybody here"));
  }
  return absl::PermissionDeniedError(absl::StrCat(method, " needs one of the roles ",
                                                  rule->roles.ToString(), "; \"", caller.name,
                                                  "\" has ", caller.roles.ToString()));
}

prometheus::Counter& RefusedCounter(prometheus::Registry& registry, const char* code) {
  return prometheus::BuildCounter()
      .Name("backfire_calls_refused_total")
      .Help("Calls whose caller was nobody, may not make them, or makes too many at once.")
      .Register(registry)
      .Add({{"code", code}});
}

}  // namespace

Door::Door(Surface surface, std::shared_ptr<const Identities> identities,
           std::shared_ptr<AuditLog> audit, std::shared_ptr<CallBudget> budget,
           prometheus::Registry& registry)
    : surface_(surface),
      identities_(std::move(identities)),
      audit_(std::move(audit)),
      budget_(std::move(budget)),
      unauthenticated_(RefusedCounter(registry, "Unauthenticated")),
      denied_(RefusedCounter(registry, "PermissionDenied")),
      over_budget_(RefusedCounter(registry, "ResourceExhausted")) {}

grpc::Status Door::Process(const InputMetadata& metadata, grpc::AuthContext* context,
                           OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) {
  const std::string method = Find(metadata, ":path");
  std::vector<std::string> names;
  if (context->IsPeerAuthenticated()) {
    for (const auto& name : context->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME)) {
      names.push_back(StringOf(name));
    }
  }
  const MethodRule* rule = FindRule(surface_, method);
  const absl::StatusOr<Caller> caller =
      identities_->Identify(Find(metadata, kAuthorization), names);
  absl::Status decision =
      caller.ok() ? Decide(rule, method, *caller, identities_->strict()) : caller.status();
  // Last: who is refused takes no place.
  if (decision.ok()) decision = budget_->Reserve(caller->name);
  if (decision.ok()) return grpc::Status::OK;
  (absl::IsUnauthenticated(decision)     ? unauthenticated_
   : absl::IsResourceExhausted(decision) ? over_budget_
                                         : denied_)
      .Increment();
  // A method that nobody knows is a text of the caller's: it stays out of the log.
  spdlog::debug("call state=REFUSED method={} caller={} error=\"{}\"",
                rule == nullptr ? "unknown" : method, caller.ok() ? caller->name : "",
                std::string(decision.message()));
  if (audit_ != nullptr && rule != nullptr && rule->changes) {
    AuditEntry entry;
    entry.method = method;
    entry.caller = caller.value_or(Caller());
    entry.status = decision;
    audit_->Write(entry);
  }
  return ToGrpcStatus(decision);
}

}  // namespace backfire::runtime
