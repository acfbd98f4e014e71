#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/store/store.h"
#include "orchestrator/workflow/job_client.h"
#include "services/base/mutex.h"
#include "services/graph/system_graph.h"

namespace backfire::workflow {

/// Owns the orchestrator's state, and moves it on: one update after another, the steps of one in
/// parallel as far as they don't need each other. Everything that is acknowledged is on disk.
/// Methods answer as the Orchestrator service does (protos/backfire/v1/orchestrator.proto), from
/// which they take their names. Thread-safe.
class Engine {
 public:
  /// Opens the store and goes on with what was under way. Errors as store::Store::Open.
  /// @param registry  Gets the engine's metrics; borrowed.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& store_path,
                                                      prometheus::Registry& registry);
  /// Stops waiting for jobs, which go on in their services.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  absl::StatusOr<v1::ApplySystemResponse> ApplySystem(const v1::ApplySystemRequest& request);
  absl::StatusOr<v1::GetSystemResponse> GetSystem() const;
  absl::StatusOr<v1::Update> ProposeUpdate(const v1::ProposeUpdateRequest& request);
  absl::StatusOr<v1::Update> GetUpdate(const std::string& name) const;
  /// Newest first, without steps.
  std::vector<v1::Update> ListUpdates() const;
  absl::StatusOr<v1::Update> CancelUpdate(const std::string& name);
  absl::StatusOr<v1::Update> RetryUpdate(const std::string& name);
  absl::StatusOr<v1::Release> PromoteUpdate(const v1::PromoteUpdateRequest& request);
  absl::StatusOr<v1::Release> RollbackRelease(const v1::RollbackReleaseRequest& request);
  /// Newest first.
  std::vector<v1::Release> ListReleases() const;
  v1::ReleaseSnapshot Snapshot() const;

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

  /// Ends waits and steps; idempotent.
  void Stop();

 private:
  struct RunningStep;

  Engine(std::unique_ptr<store::Store> store, store::Contents contents,
         prometheus::Registry& registry);

  // The version that a proposal names, from its service.
  absl::StatusOr<v1::Version> ProposedVersion(const v1::ProposeUpdateRequest& request);
  // FAILED_PRECONDITION: a proposed version is fed by others than the live release's vertex is.
  absl::Status CheckProposedLineage(const v1::Version& version, const graph::SystemGraph& graph,
                                    const std::string& vertex, int64_t baseline) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Scheduling (engine_scheduling.cc): a thread that starts steps, and one per running step.
  void Schedule();
  void StartReadySteps() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartStep(store::UpdateRecord& update, size_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<v1::Job> ExecuteStep(int64_t update, size_t position, RunningStep& running);
  void FinishStep(int64_t update, size_t position, const absl::StatusOr<v1::Job>& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckDataset(const store::UpdateRecord& update, const std::string& digest) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets the state that an update's steps say; makes its release, verdict and end.
  absl::Status Advance(store::UpdateRecord& update, std::map<int64_t, v1::Release>& releases)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountMetrics(const v1::Step& step, const std::string& update,
                    std::chrono::steady_clock::time_point start);

  // State.
  const graph::SystemGraph& GraphOf(int64_t revision) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<store::UpdateRecord*> FindUpdate(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Update Show(const store::UpdateRecord& update) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t LiveRelease() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The releases as they are once `number` is live.
  std::map<int64_t, v1::Release> WithLive(int64_t number, const std::string& reason,
                                          std::map<int64_t, v1::Release> releases) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes updates with all their steps, and releases, then takes them over.
  absl::Status Commit(const std::vector<store::UpdateRecord>& updates,
                      const std::map<int64_t, v1::Release>& releases,
                      const store::SystemRecord* system) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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
  std::map<std::pair<int64_t, size_t>, std::unique_ptr<RunningStep>> running_
      ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> finished_ ABSL_GUARDED_BY(mutex_);
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 1;
  bool work_waits_ ABSL_GUARDED_BY(mutex_) = true;
  std::atomic<bool> stopping_{false};
  std::thread scheduler_;
};

}  // namespace backfire::workflow
