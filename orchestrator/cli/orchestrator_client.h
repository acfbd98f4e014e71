#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backfire/v1/evidence.grpc.pb.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "orchestrator/cli/update_context.h"
#include "services/rpc/unary_call.h"

namespace backfire::cli {

/// The orchestrator's public API, with deadlines. Messages of failed calls say which target.
class OrchestratorClient {
 public:
  explicit OrchestratorClient(const std::string& target);

  /// @param method  For instance `&Stub::GetUpdate`.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Orchestrator::Stub::*method)(grpc::ClientContext*,
                                                                               const Request&,
                                                                               Response*),
                                const Request& request,
                                absl::Duration timeout = absl::Seconds(30)) {
    absl::StatusOr<Response> response = runtime::UnaryCall(*stub_, method, request, timeout);
    if (!response.ok()) return Explain(response.status());
    return response;
  }

  /// Resolves how people name updates: `3`, `updates/3`, `latest`, `baseline` (of the current
  /// system). INVALID_ARGUMENT: something else. NOT_FOUND: there is none yet.
  absl::StatusOr<std::string> ResolveUpdate(const std::string& name);

  /// Resolves how people name releases: `2`, `releases/2`, `live`. INVALID_ARGUMENT: something
  /// else. NOT_FOUND: none is live.
  absl::StatusOr<std::string> ResolveRelease(const std::string& name);

  /// The model of a vertex; for an empty vertex, every model of the current system once, in its
  /// order. NOT_FOUND: no such vertex; names those there are.
  absl::StatusOr<std::vector<std::string>> ResolveModels(const std::string& vertex);

  /// Resolves how people name versions: `disparity/3`, `models/disparity/versions/3`, and `3` where
  /// `vertex` is not empty. INVALID_ARGUMENT: something else, or another vertex's.
  absl::StatusOr<std::string> ResolveVersion(const std::string& vertex, const std::string& name);

  /// Sends what `send` writes, and returns the version that came of it. `send`'s `write` returns
  /// false when it should stop; the call's status then says why.
  using WriteImport = std::function<bool(const v1::ImportVersionRequest&)>;
  absl::StatusOr<v1::Version> ImportVersion(
      const std::function<absl::Status(const WriteImport&)>& send);
  /// Receives a whole file. DATA_LOSS: what came is not what was announced.
  absl::StatusOr<v1::Version> ExportVersion(const v1::ExportVersionRequest& request,
                                            std::string& file);

  /// A decided update's evidence, as lines of a file (orchestrator/evidence_messages), whose header
  /// says what the update was. FAILED_PRECONDITION: the update has no verdict. DATA_LOSS: what came
  /// is not what was announced.
  /// @param curves  Of its trainings, from who has watched; null: none.
  absl::StatusOr<std::string> ExportEvidence(const std::string& update,
                                             const TrainingCurves* curves = nullptr);

  /// Calls `on_change` with an update now and whenever it changed, until it is decided or
  /// has ended; returns it as it is then. Outlasts a restart of the orchestrator.
  absl::StatusOr<v1::Update> WatchUpdate(const std::string& name,
                                         const std::function<void(const v1::Update&)>& on_change);

  /// Observes releases and gateways: calls `on_change` now and whenever something changed, until it
  /// returns an error, or the orchestrator can't be reached for a minute.
  absl::Status WatchReleases(
      const std::function<absl::Status(const v1::ReleaseSnapshot&)>& on_change);

 private:
  absl::Status Explain(const absl::Status& cause) const;
  absl::StatusOr<v1::UpdateContext> Context(const std::string& update);

  std::string target_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Orchestrator::Stub> stub_;
  std::unique_ptr<v1::UpdateEvidence::Stub> evidence_stub_;
};

/// `updates/3` of `3` or `updates/3`, by the collection's name. INVALID_ARGUMENT: neither.
absl::StatusOr<std::string> ResourceName(const std::string& collection, const std::string& text);

}  // namespace backfire::cli
