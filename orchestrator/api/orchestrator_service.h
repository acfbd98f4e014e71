#pragma once

#include <memory>
#include <string>
#include <utility>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "orchestrator/api/control_plane.h"
#include "orchestrator/api/shown.h"
#include "orchestrator/commands/resolve_recipes.h"
#include "services/rpc/identities.h"
#include "services/rpc/stream_budget.h"

namespace backfire::api {

/// `backfire.v1.Orchestrator` over a control plane, which is borrowed. Streams end with it.
class OrchestratorService final : public v1::Orchestrator::Service {
 public:
  /// @param identities  Tells who callers are: actors are then those who are verified, a gate
  /// cancels its own updates alone, and reports are believed of gateways alone. Null: everybody is
  /// who they say.
  explicit OrchestratorService(ControlPlane& plane,
                               std::shared_ptr<const runtime::Identities> identities = nullptr)
      : plane_(plane),
        identities_(std::move(identities)),
        shown_releases_(plane.gateways().lease()) {}

  grpc::Status ApplySystem(grpc::ServerContext* context, const v1::ApplySystemRequest* request,
                           v1::ApplySystemResponse* response) override;
  grpc::Status GetSystem(grpc::ServerContext* context, const v1::GetSystemRequest* request,
                         v1::GetSystemResponse* response) override;
  grpc::Status ProposeUpdate(grpc::ServerContext* context, const v1::ProposeUpdateRequest* request,
                             v1::Update* response) override;
  grpc::Status GetUpdate(grpc::ServerContext* context, const v1::GetUpdateRequest* request,
                         v1::Update* response) override;
  grpc::Status ListUpdates(grpc::ServerContext* context, const v1::ListUpdatesRequest* request,
                           v1::ListUpdatesResponse* response) override;
  grpc::Status WatchUpdate(grpc::ServerContext* context, const v1::WatchUpdateRequest* request,
                           grpc::ServerWriter<v1::Update>* writer) override;
  grpc::Status CancelUpdate(grpc::ServerContext* context, const v1::CancelUpdateRequest* request,
                            v1::Update* response) override;
  grpc::Status RetryUpdate(grpc::ServerContext* context, const v1::RetryUpdateRequest* request,
                           v1::Update* response) override;
  grpc::Status PromoteUpdate(grpc::ServerContext* context, const v1::PromoteUpdateRequest* request,
                             v1::Release* response) override;
  grpc::Status RollbackRelease(grpc::ServerContext* context,
                               const v1::RollbackReleaseRequest* request,
                               v1::Release* response) override;
  grpc::Status ListReleases(grpc::ServerContext* context, const v1::ListReleasesRequest* request,
                            v1::ListReleasesResponse* response) override;
  grpc::Status GetRelease(grpc::ServerContext* context, const v1::GetReleaseRequest* request,
                          v1::Release* response) override;
  grpc::Status WatchReleases(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ReleaseSnapshot, v1::GatewayReport>* stream) override;

  grpc::Status PruneUpdates(grpc::ServerContext* context, const v1::PruneUpdatesRequest* request,
                            v1::PruneUpdatesResponse* response) override;
  grpc::Status ListEvents(grpc::ServerContext* context, const v1::ListEventsRequest* request,
                          v1::ListEventsResponse* response) override;

  // Passed on to the services that own the versions (version_methods.cc).
  grpc::Status ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                          v1::Version* response) override;
  grpc::Status ImportVersion(grpc::ServerContext* context,
                             grpc::ServerReader<v1::ImportVersionRequest>* reader,
                             v1::Version* response) override;
  grpc::Status ExportVersion(grpc::ServerContext* context, const v1::ExportVersionRequest* request,
                             grpc::ServerWriter<v1::ExportVersionResponse>* writer) override;
  grpc::Status DeleteVersion(grpc::ServerContext* context, const v1::DeleteVersionRequest* request,
                             v1::DeleteVersionResponse* response) override;

 private:
  absl::StatusOr<v1::Update> Show(const std::string& update) const;
  // Number of an update that has a verdict. FAILED_PRECONDITION: it has none.
  absl::StatusOr<int64_t> JudgedNumber(const std::string& update) const;
  absl::StatusOr<v1::ApplySystemResponse> Apply(const v1::ApplySystemRequest& request);
  commands::ResolveRecipe Resolver() const;
  absl::StatusOr<v1::Update> Propose(const v1::ProposeUpdateRequest& request);
  absl::StatusOr<v1::Release> ShowRelease(int64_t number) const;
  /// The caller who waits for a switch. While nothing has been switched, what was asked for is
  /// given up once the caller is gone, or by `until`: in time to say which vertex kept it waiting.
  struct Waiter {
    explicit Waiter(const grpc::ServerContext* context);
    releases::ReleaseManager::Interrupted is_gone;
    Clock::SteadyTime until = Clock::SteadyTime::max();
  };
  absl::StatusOr<v1::Release> Promote(const v1::PromoteUpdateRequest& request,
                                      const Waiter& waiter);
  absl::StatusOr<v1::Release> Rollback(const v1::RollbackReleaseRequest& request,
                                       const Waiter& waiter);
  absl::StatusOr<std::shared_ptr<const v1::ReleaseSnapshot>> Snapshot(bool observes);

  /// Who calls; may do everything where nobody is verified.
  runtime::Caller CallerOf(const grpc::ServerContext& context) const;
  /// The request, with the verified caller for its actor where there is one.
  template <typename Request>
  Request ByCaller(const grpc::ServerContext& context, const Request& request) const {
    Request named = request;
    if (const std::string name = CallerOf(context).name; !name.empty()) named.set_actor(name);
    return named;
  }
  /// PERMISSION_DENIED: the caller is a gate, and the update another's.
  absl::Status CheckOwner(const grpc::ServerContext& context, const std::string& update) const;

  ControlPlane& plane_;
  const std::shared_ptr<const runtime::Identities> identities_;
  ShownReleases shown_releases_;
  // Watches wait, each on a thread of the server's: they leave most of them to calls that act, and
  // gateways are never short of theirs.
  runtime::StreamBudget streams_{96, "watches"};
  runtime::StreamBudget gateway_streams_{64, "gateways"};
};

}  // namespace backfire::api
