// The calls on releases.
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/api/answer.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/api/paging.h"
#include "orchestrator/api/shown.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/commands/release_commands.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/releases/gateway_table.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"

namespace backfire::api {

using google::protobuf::util::MessageDifferencer;

namespace {

// For those who ask afterwards. When this process ends, its gateways have not gone.
void TellOfGateway(ledger::Ledger& ledger, const std::string& kind, const std::string& message) {
  if (ledger.changes().stopped()) return;
  const absl::Status told = ledger
                                .Commit([&](const records::State&) {
                                  records::Change change;
                                  v1::Event& event = change.events.emplace_back();
                                  event.set_kind(kind);
                                  event.set_message(message);
                                  return change;
                                })
                                .status();
  if (!told.ok()) {
    spdlog::error("gateway state=UNSAVED event={} error=\"{}\"", kind, std::string(told.message()));
  }
}

// Of the time that a caller gives a switch, the part in which it must be decided: the rest is for
// the answer's way, on a machine that may be busy.
constexpr double kDecidingPart = 0.8;

}  // namespace

// Null in tests.
OrchestratorService::Waiter::Waiter(const grpc::ServerContext* context)
    : is_gone([context] { return context != nullptr && context->IsCancelled(); }) {
  if (context == nullptr) return;
  const auto deadline = context->deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return;
  const std::chrono::duration<double> left = deadline - std::chrono::system_clock::now();
  // A deadline of years is none.
  if (left > std::chrono::hours(24)) return;
  until = std::chrono::steady_clock::now() +
          std::chrono::duration_cast<std::chrono::milliseconds>(kDecidingPart * left);
}

absl::StatusOr<v1::Release> OrchestratorService::ShowRelease(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(
      records::ReleaseRecord found,
      commands::FindRelease(*plane_.ledger().state(), plane_.ledger().history(),
                            records::ReleaseName(number)));
  return std::move(found.release);
}

absl::StatusOr<v1::Release> OrchestratorService::Promote(const v1::PromoteUpdateRequest& request,
                                                         const Waiter& waiter) {
  const store::Repository& history = plane_.ledger().history();
  BACKFIRE_ASSIGN_OR_RETURN(const commands::Switching switching,
                            commands::CheckPromotion(*plane_.ledger().state(), history, request));
  if (switching.is_done) return ShowRelease(switching.release);
  const auto promote = [&]() -> absl::Status {
    const auto decide = [&](const records::State& state) {
      auto change =
          commands::PromoteUpdate(state, history, request, switching.release, plane_.clock().Now());
      if (change.ok() && !change->empty()) CrashPoint("promote", request.name());
      return change;
    };
    const auto written = [&] { CrashPoint("promoted", request.name()); };
    return plane_.ledger().Commit(decide, written).status();
  };
  BACKFIRE_RETURN_IF_ERROR(
      plane_.releases().Switch(switching.release, promote, waiter.is_gone, waiter.until));
  return ShowRelease(switching.release);
}

absl::StatusOr<v1::Release> OrchestratorService::Rollback(const v1::RollbackReleaseRequest& request,
                                                          const Waiter& waiter) {
  const store::Repository& history = plane_.ledger().history();
  BACKFIRE_ASSIGN_OR_RETURN(const commands::Switching switching,
                            commands::CheckRollback(*plane_.ledger().state(), history, request));
  if (switching.is_done) return ShowRelease(switching.release);
  const auto roll_back = [&]() -> absl::Status {
    const auto decide = [&](const records::State& state) {
      auto change = commands::RollbackRelease(state, history, request, plane_.clock().Now());
      if (change.ok() && !change->empty()) CrashPoint("promote", request.name());
      return change;
    };
    const auto written = [&] { CrashPoint("promoted", request.name()); };
    return plane_.ledger().Commit(decide, written).status();
  };
  BACKFIRE_RETURN_IF_ERROR(
      plane_.releases().Switch(switching.release, roll_back, waiter.is_gone, waiter.until));
  return ShowRelease(switching.release);
}

absl::StatusOr<std::shared_ptr<const v1::ReleaseSnapshot>> OrchestratorService::Snapshot(
    bool observes) {
  const auto state = plane_.ledger().state();
  if (!observes) return shown_releases_.Of(*state);
  BACKFIRE_ASSIGN_OR_RETURN(v1::ReleaseSnapshot all,
                            ShowAllReleases(*state, plane_.ledger().history()));
  for (v1::Gateway& gateway : plane_.gateways().List()) *all.add_gateways() = std::move(gateway);
  *all.mutable_lease() =
      google::protobuf::util::TimeUtil::MillisecondsToDuration(plane_.gateways().lease().count());
  return std::make_shared<const v1::ReleaseSnapshot>(std::move(all));
}

grpc::Status OrchestratorService::PromoteUpdate(grpc::ServerContext* context,
                                                const v1::PromoteUpdateRequest* request,
                                                v1::Release* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Promote(ByCaller(*context, *request), Waiter(context)), response);
}

grpc::Status OrchestratorService::RollbackRelease(grpc::ServerContext* context,
                                                  const v1::RollbackReleaseRequest* request,
                                                  v1::Release* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Rollback(ByCaller(*context, *request), Waiter(context)), response);
}

grpc::Status OrchestratorService::ListReleases(grpc::ServerContext*,
                                               const v1::ListReleasesRequest* request,
                                               v1::ListReleasesResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto list = [&]() -> absl::StatusOr<v1::ListReleasesResponse> {
    BACKFIRE_ASSIGN_OR_RETURN(const store::Page page,
                              PageOf(request->page_size(), request->page_token()));
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<v1::Release> releases,
                              plane_.ledger().history().ListReleases(page));
    v1::ListReleasesResponse listed;
    listed.set_next_page_token(CutPage(page, releases));
    for (v1::Release& release : releases) *listed.add_releases() = std::move(release);
    return listed;
  };
  return Answer(list(), response);
}

grpc::Status OrchestratorService::GetRelease(grpc::ServerContext*,
                                             const v1::GetReleaseRequest* request,
                                             v1::Release* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  auto found =
      commands::FindRelease(*plane_.ledger().state(), plane_.ledger().history(), request->name());
  if (!found.ok()) return runtime::ToGrpcStatus(found.status());
  *response = std::move(found->release);
  return grpc::Status::OK;
}

grpc::Status OrchestratorService::WatchReleases(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::ReleaseSnapshot, v1::GatewayReport>* stream) {
  v1::GatewayReport first;
  if (!stream->Read(&first)) return grpc::Status::OK;
  BACKFIRE_CHECK_BOUNDS(first);
  if (const absl::Status status = releases::CheckReport(first); !status.ok()) {
    return runtime::ToGrpcStatus(status);
  }
  const std::string gateway = first.gateway();
  const bool observes = gateway.empty();
  // What a gateway says that it serves holds back what is unloaded: it must be one.
  if (!observes && !CallerOf(*context).roles.Has(runtime::Role::kGateway)) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            "only a gateway may report; leave `gateway` empty"};
  }
  const runtime::StreamBudget::Place place(observes ? streams_ : gateway_streams_,
                                           CallerOf(*context).name);
  if (!place.status().ok()) return runtime::ToGrpcStatus(place.status());
  if (!observes) {
    spdlog::info("gateway state=FOLLOWS gateway={}", gateway);
    plane_.gateways().Report(first);
    TellOfGateway(plane_.ledger(), "GATEWAY_FOLLOWS",
                  absl::StrCat("gateway ", gateway, " follows the releases"));
  }
  std::atomic<bool> ended{false};
  std::thread reader([&] {
    v1::GatewayReport report;
    while (stream->Read(&report)) {
      if (observes) continue;
      report.set_gateway(gateway);
      // Its lease runs out while it says what cannot be.
      if (releases::CheckReport(report).ok()) plane_.gateways().Report(report);
    }
    ended = true;
  });
  absl::Status status;
  std::shared_ptr<const v1::ReleaseSnapshot> last;
  // An observer's end of writing is not the end of its interest.
  while (!context->IsCancelled() && !(ended && !observes)) {
    const int64_t seen = plane_.ledger().release_changes().count();
    const absl::StatusOr<std::shared_ptr<const v1::ReleaseSnapshot>> snapshot = Snapshot(observes);
    status = snapshot.status();
    if (!status.ok()) break;
    if (last == nullptr || (*snapshot != last && !MessageDifferencer::Equals(**snapshot, *last))) {
      if (!stream->Write(**snapshot)) break;
    }
    last = *snapshot;
    if (!plane_.ledger().release_changes().Wait(seen, kStreamCheck)) break;
  }
  // The reader may wait for a client that has nothing to say; a client takes it for a lost
  // connection.
  if (!ended) context->TryCancel();
  reader.join();
  if (!observes) {
    spdlog::info("gateway state=GONE gateway={}", gateway);
    plane_.gateways().Disconnect(gateway);
    TellOfGateway(plane_.ledger(), "GATEWAY_GONE",
                  absl::StrCat("gateway ", gateway, " ended, or lost its connection"));
  }
  return runtime::ToGrpcStatus(status);
}

}  // namespace backfire::api
