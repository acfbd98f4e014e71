#pragma once

#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/store/store.h"
#include "orchestrator/verdict/verdict.h"
#include "orchestrator/workflow/gateway_table.h"
#include "orchestrator/workflow/job_client.h"
#include "services/base/mutex.h"
#include "services/graph/system_graph.h"

namespace backfire::workflow {

/// Owns the orchestrator's state, and moves it on: updates that touch the same vertex one after
/// another, others side by side, the steps of one as far as they don't need each other. Everything
/// that is acknowledged is on disk. Methods answer as the Orchestrator service does
/// (protos/backfire/v1/orchestrator.proto), from which they take their names. Thread-safe.
class Engine {
 public:
  /// Opens the store and goes on with what was under way. Errors as store::Store::Open.
  /// @param registry  Gets the engine's metrics; borrowed.
  /// @param lease     How long a gateway's report counts.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& store_path,
                                                      prometheus::Registry& registry,
                                                      std::chrono::milliseconds lease);
  /// Stops waiting for jobs, which go on in their services.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  absl::StatusOr<v1::ApplySystemResponse> ApplySystem(const v1::ApplySystemRequest& request);
  absl::StatusOr<v1::GetSystemResponse> GetSystem() const;
  absl::StatusOr<v1::Update> ProposeUpdate(const v1::ProposeUpdateRequest& request);
  absl::StatusOr<v1::Update> GetUpdate(const std::string& name) const;
  /// Those that the request's filters let through, newest first, without steps; its paging is not
  /// looked at.
  std::vector<v1::Update> ListUpdates(const v1::ListUpdatesRequest& request) const;
  /// What the verdict of a decided update was made of. FAILED_PRECONDITION: it has no verdict.
  absl::StatusOr<verdict::Evidence> GetEvidence(const std::string& name) const;
  absl::StatusOr<v1::Update> CancelUpdate(const v1::CancelUpdateRequest& request);
  absl::StatusOr<v1::Update> RetryUpdate(const v1::RetryUpdateRequest& request);
  absl::StatusOr<v1::Release> PromoteUpdate(const v1::PromoteUpdateRequest& request);
  absl::StatusOr<v1::Release> RollbackRelease(const v1::RollbackReleaseRequest& request);
  /// Newest first.
  std::vector<v1::Release> ListReleases() const;
  absl::StatusOr<v1::Release> GetRelease(const std::string& name) const;
  /// @param observes  For an observer: all releases, and gateways.
  v1::ReleaseSnapshot Snapshot(bool observes) const;
  /// What a gateway says of itself, and that its stream has ended.
  void Report(const v1::GatewayReport& report);
  void Disconnect(const std::string& gateway);

  /// What /metrics shows of the engine's state as it is now (engine_metrics.cc); the registry has
  /// what is counted since the start. Names: docs/metrics.md.
  std::vector<prometheus::MetricFamily> SampleMetrics() const;

  // Versions (engine_versions.cc), which are their services': the API calls these.
  /// Where the current system's model of that name is served. NOT_FOUND: no vertex has it.
  /// FAILED_PRECONDITION: its service lacks the capability.
  absl::StatusOr<std::string> EndpointOf(const std::string& model_name,
                                         v1::Capability capability) const;
  /// What feeds the vertices with this model in the live release; empty if they have no parents.
  /// FAILED_PRECONDITION: there is no live release. INVALID_ARGUMENT: they are fed differently.
  absl::StatusOr<std::vector<v1::Parent>> LiveLineage(const std::string& model_name) const;
  /// A model that may have versions that a version of another one feeds.
  struct Child {
    std::string model_name;
    std::string endpoint;
    bool lists_versions = false;
  };
  std::vector<Child> ChildrenOf(const std::string& model_name) const;
  /// FAILED_PRECONDITION: releases, updates or recipes need the version; names them.
  absl::Status CheckUnneeded(const std::string& version) const;

  /// A number that grows with every change of anything.
  int64_t changes() const;
  /// Waits until changes() is not `seen`, or for `timeout`. False: the engine stops.
  bool WaitForChange(int64_t seen, absl::Duration timeout) const;
  /// The same for what snapshots say: releases, the system, gateways.
  int64_t release_changes() const;
  bool WaitForReleaseChange(int64_t seen, absl::Duration timeout) const;

  /// Ends waits and steps; idempotent.
  void Stop();

 private:
  struct RunningStep;
  struct Change;
  using ServedVersion = std::pair<std::string, std::string>;  // Endpoint and version.
  using StepKey = std::pair<int64_t, size_t>;  // Number of the update, position of the step.

  Engine(std::unique_ptr<store::Store> store, store::Contents contents,
         prometheus::Registry& registry, std::chrono::milliseconds lease);
  bool WaitWhileSeen(const int64_t& counter, int64_t seen, absl::Duration timeout) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The version that a proposal names, from its service.
  absl::StatusOr<v1::Version> ProposedVersion(const v1::ProposeUpdateRequest& request);
  // FAILED_PRECONDITION: a proposed version is fed by others than the live release's vertex is.
  absl::Status CheckProposedLineage(const v1::Version& version, const graph::SystemGraph& graph,
                                    const std::string& vertex, int64_t baseline) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Scheduling (engine_scheduling.cc): a thread that starts steps, and one per running step.
  void Schedule();
  // Takes up the cancelling of jobs that a restart interrupted.
  void CancelInterrupted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartReadySteps() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives an update that has not begun the live release to compare with. False: it can't begin.
  bool Rebase(store::UpdateRecord& update) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartStep(const store::UpdateRecord& update, size_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The store refuses: the update stops until someone retries it.
  void FailUnwritten(int64_t number, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs a step that is written down as RUNNING on a thread of its own.
  void RunStep(StepKey key, bool cancel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<v1::Job> ExecuteStep(StepKey key, RunningStep& running);
  void FinishStep(StepKey key, const absl::StatusOr<v1::Job>& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckDataset(const store::UpdateRecord& update, const std::string& digest) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets the state that an update's steps say; makes its release, verdict and end.
  absl::Status Advance(const store::UpdateRecord& update, Change& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountMetrics(const v1::Step& step, const std::string& update,
                    std::chrono::steady_clock::time_point start);

  // State.
  const graph::SystemGraph& GraphOf(int64_t revision) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // FAILED_PRECONDITION: an update is under way, which has to end before something.
  absl::Status CheckNoOpenUpdate(const std::string& before) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The update of this request_id; null: there is none. ALREADY_EXISTS: it had other arguments.
  absl::StatusOr<const store::UpdateRecord*> FindProposal(const v1::ProposeUpdateRequest& request,
                                                          int looks) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The update that a proposal makes, checked and planned, against the live release.
  absl::StatusOr<store::UpdateRecord> MakeProposal(const v1::ProposeUpdateRequest& request,
                                                   const v1::Recipe& recipe,
                                                   const v1::Version& proposed, int looks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<const store::UpdateRecord*> FindUpdate(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the two would work on the same vertex.
  bool Conflict(const v1::Update& one, const v1::Update& other) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Number of the earlier open update that this one lets go first; 0: none.
  int64_t WaitsFor(const store::UpdateRecord& update) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Update Show(const store::UpdateRecord& update, bool with_steps) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Releases (engine_releases.cc, engine_loading.cc).
  int64_t LiveRelease() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t Epoch() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t RevisionOf(const v1::Release& release) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // NOT_FOUND: no such release. INVALID_ARGUMENT: malformed.
  absl::StatusOr<v1::Release> FindRelease(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The number of the release that promoting this update would make live, or why it can't be.
  absl::StatusOr<int64_t> CheckPromotion(const v1::PromoteUpdateRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for a rollback; the live one's own number if there is nothing to do.
  absl::StatusOr<int64_t> CheckRollback(const v1::RollbackReleaseRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What a replica should load; `digest` is its endpoint's, if known.
  struct ReplicaLoad {
    std::string replica, version, digest;
  };
  // Has a version loaded at its vertex's endpoint, and adds what its replicas should load.
  absl::Status LoadOnEndpoint(const v1::Vertex& vertex, const std::string& version,
                              const runtime::Patience& patience,
                              const std::function<bool()>& interrupted,
                              std::vector<ReplicaLoad>& replicas) ABSL_LOCKS_EXCLUDED(mutex_);
  // One attempt on each, all at once; those that are away, or slow, are passed over. DATA_LOSS: one
  // has something else by that name.
  absl::Status LoadOnReplicas(const std::vector<ReplicaLoad>& replicas,
                              const std::function<bool()>& interrupted) ABSL_LOCKS_EXCLUDED(mutex_);
  // Both, of one version.
  absl::Status LoadEverywhere(const v1::Vertex& vertex, const std::string& version,
                              const runtime::Patience& patience,
                              const std::function<bool()>& interrupted) ABSL_LOCKS_EXCLUDED(mutex_);
  // One attempt. DATA_LOSS: it has something else than `digest`, if that is known, by that name.
  absl::Status LoadOnReplica(const std::string& replica, const std::string& version,
                             const std::string& digest, const std::function<bool()>& interrupted)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // A thread that has replicas have what is live or staged, and nothing else: they come, go, and
  // come back empty or with what is served no more.
  void KeepReplicas();
  std::map<std::string, std::set<std::string>> VersionsOfReplicas() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RefillReplica(const std::string& replica, const std::set<std::string>& versions)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Has every version of a release loaded, and keeps them so until Unwant. Without the mutex.
  absl::Status LoadRelease(int64_t number) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends LoadRelease: what it loaded goes again if the release did not become live.
  void Unwant(int64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until this version is not being unloaded. False: the engine stops.
  bool WaitUntilKept(const std::string& endpoint, const std::string& version) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A thread that unloads what no gateway serves any more.
  void KeepReleases();
  // A release that could not be retired.
  struct Postponed {
    std::chrono::steady_clock::time_point until;
    std::chrono::milliseconds pause{0};
    std::string error;
  };
  int64_t NextToRetire(const std::map<int64_t, Postponed>& postponed) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Unloads what only this release needs. Lets go of the mutex meanwhile.
  absl::Status Retire(int64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A release's versions, at all endpoints that serve them.
  std::set<ServedVersion> VersionsOf(int64_t release) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those of all releases that are served or may be; `without`: not of that one.
  std::set<ServedVersion> NeededVersions(int64_t without) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::set<std::string> ReplicasOf(int64_t release) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A release as a change leaves it, to be changed further.
  v1::Release& ChangedRelease(int64_t number, Change& change) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the release of an update, of its versions and else its baseline's.
  absl::StatusOr<int64_t> MakeRelease(const store::UpdateRecord& update, v1::Release::State state,
                                      Change& change) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes back what an update had prepared to be served, as of `epoch`.
  void AbandonRelease(const v1::Update& update, const std::string& reason, int64_t epoch,
                      Change& change) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes a release the live one; `event` says by whom and why.
  void MakeLive(int64_t number, v1::ReleaseEvent event, Change& change) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What becomes of the updates that were compared with the release that `promoted` replaces by
  // release `number`.
  absl::Status SettleOthers(const store::UpdateRecord& promoted, int64_t number,
                            Change& change) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the call with this request_id made before; empty: it is new. INVALID_ARGUMENT: malformed.
  // ALREADY_EXISTS: it was another call, or had other arguments.
  template <typename Request>
  absl::StatusOr<std::string> FindRequest(const Request& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Notes what a call made, if it has a request_id.
  template <typename Request>
  static void NoteRequest(const Request& request, const std::string& resource, Change& change);
  // Checks a change against the transitions, writes it, then takes it over.
  absl::Status Commit(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  store::UpdateRecord NewUpdate(const std::vector<v1::Step>& steps) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  struct Metrics;

  JobClient client_;
  const std::unique_ptr<Metrics> metrics_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  CondVar work_;
  const std::unique_ptr<store::Store> store_ ABSL_PT_GUARDED_BY(mutex_);
  store::Contents contents_ ABSL_GUARDED_BY(mutex_);
  mutable std::map<int64_t, graph::SystemGraph> graphs_ ABSL_GUARDED_BY(mutex_);
  // Which steps need which, by update; made when first needed.
  std::map<int64_t, std::vector<std::vector<size_t>>> dependencies_ ABSL_GUARDED_BY(mutex_);
  std::map<StepKey, std::unique_ptr<RunningStep>> running_ ABSL_GUARDED_BY(mutex_);
  // When a step of an open update last moved on, or said that it did.
  std::map<int64_t, std::chrono::steady_clock::time_point> moved_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> finished_ ABSL_GUARDED_BY(mutex_);
  GatewayTable gateways_ ABSL_GUARDED_BY(mutex_);
  std::multiset<int64_t> wanted_ ABSL_GUARDED_BY(mutex_);  // Releases that are to become live.
  std::set<ServedVersion> unloading_ ABSL_GUARDED_BY(mutex_);
  int64_t retiring_ ABSL_GUARDED_BY(mutex_) = 0;  // The release that is being retired; 0: none.
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 1;
  int64_t release_changes_ ABSL_GUARDED_BY(mutex_) = 1;
  bool work_waits_ ABSL_GUARDED_BY(mutex_) = true;
  std::atomic<bool> stopping_{false};
  std::thread scheduler_;
  std::thread keeper_;
  std::thread replica_keeper_;
};

}  // namespace backfire::workflow
