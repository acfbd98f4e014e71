#include "orchestrator/cli/orchestrator_client.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/report/progress_report.h"
#include "services/base/status.h"
#include "services/runtime/channel.h"
#include "services/runtime/rpc_status.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

/// No training takes longer than this without a change that ends the stream.
constexpr absl::Duration kWatchTimeout = absl::Hours(24 * 7);
/// How long a restarting orchestrator may be away.
constexpr absl::Duration kRestartTimeout = absl::Seconds(60);

}  // namespace

OrchestratorClient::OrchestratorClient(const std::string& target)
    : target_(target), stub_(v1::Orchestrator::NewStub(runtime::MakeChannel(target))) {}

void OrchestratorClient::SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  runtime::SetDeadline(context, timeout);
}

absl::Status OrchestratorClient::Explain(const grpc::Status& status) const {
  const absl::Status cause = runtime::FromGrpcStatus(status);
  if (!absl::IsUnavailable(cause)) return cause;
  return absl::UnavailableError(
      absl::StrCat("orchestrator at ", target_, ": ", std::string(cause.message()),
                   " (is the mesh up? `backfire up SYSTEM.yaml` starts one)"));
}

absl::StatusOr<std::string> OrchestratorClient::ResolveUpdate(const std::string& name) {
  if (name == "baseline") {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse system,
                              Call(&Stub::GetSystem, v1::GetSystemRequest()));
    if (system.baseline_update().empty()) return absl::NotFoundError("there is no baseline yet");
    return system.baseline_update();
  }
  if (name == "latest") {
    v1::ListUpdatesRequest request;
    request.set_page_size(1);
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListUpdatesResponse updates,
                              Call(&Stub::ListUpdates, request));
    if (updates.updates().empty()) return absl::NotFoundError("there is no update yet");
    return updates.updates(0).name();
  }
  return ResourceName("updates", name);
}

absl::StatusOr<v1::Update> OrchestratorClient::WatchUpdate(
    const std::string& name, const std::function<void(const v1::Update&)>& on_change) {
  v1::WatchUpdateRequest request;
  request.set_name(name);
  v1::Update latest;
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, kWatchTimeout);
    const auto reader = stub_->WatchUpdate(&context, request);
    v1::Update update;
    while (reader->Read(&update)) {
      latest = update;
      on_change(latest);
    }
    const grpc::Status status = reader->Finish();
    if (status.ok() && report::HasEnded(latest)) return latest;
    const bool was_known = !latest.name().empty();
    if (!status.ok() && !(was_known && status.error_code() == grpc::StatusCode::UNAVAILABLE)) {
      return Explain(status);
    }
    // It is shutting down or restarting: wait until it answers again, rather than ask in a loop.
    grpc::ClientContext again;
    again.set_wait_for_ready(true);
    SetDeadline(again, kRestartTimeout);
    v1::GetUpdateRequest get;
    get.set_name(name);
    if (const grpc::Status back = stub_->GetUpdate(&again, get, &latest); !back.ok()) {
      return Explain(status.ok() ? back : status);
    }
    on_change(latest);
    if (report::HasEnded(latest)) return latest;
  }
}

absl::StatusOr<std::string> ResourceName(const std::string& collection, const std::string& text) {
  int64_t number = 0;
  const std::string prefix = collection + "/";
  const std::string digits(absl::StripPrefix(text, prefix));
  if (!absl::SimpleAtoi(digits, &number) || number < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be ", prefix, "NUMBER or NUMBER: got \"", text, "\""));
  }
  return absl::StrCat(prefix, number);
}

}  // namespace backfire::cli
