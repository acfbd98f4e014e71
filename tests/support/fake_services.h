#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/execution/job_backend.h"
#include "services/base/mutex.h"

namespace backfire::testing {

/// Model services without processes: a job ends at once, unless it is held, with a result that
/// depends on its request alone; the same request_id is the same job. A version's loss is 1 plus
/// its recipe's `offset` plus a little noise by its seed. Whoever is held to outputs that a version
/// no longer gives fails with DATA_LOSS. Loading looks at no digest, as in services that ignore it.
/// Thread-safe.
class FakeServices final : public execution::JobBackend, public execution::VersionHost {
 public:
  absl::StatusOr<v1::Job> Run(const std::string& endpoint, const planning::JobRequest& request,
                              bool can_watch, const runtime::Patience& patience,
                              const std::function<execution::Interrupt()>& interrupt,
                              const std::function<void(const v1::Progress&)>& progress) override;
  absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                           const std::string& digest, const runtime::Patience& patience,
                           const std::function<bool()>& interrupted) override;
  absl::Status UnloadVersion(const std::string& endpoint, const std::string& version) override;
  absl::StatusOr<v1::Model> GetModel(const std::string& endpoint, const std::string& name) override;
  /// Refuses an `offset` above 100, and a dataset of no scheme: "recipe.parameters.offset ...".
  absl::StatusOr<v1::Recipe> ResolveRecipe(const std::string& endpoint,
                                           const v1::ResolveRecipeRequest& request) override;
  absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint,
                                         const std::string& name) override;
  absl::StatusOr<std::vector<v1::Version>> ListVersions(const std::string& endpoint,
                                                        const std::string& model) override;
  absl::Status DeleteVersion(const std::string& endpoint, const std::string& version) override;

  /// Jobs whose request_id has this in it run until Release, and say so.
  void Hold(const std::string& part);
  void Release(const std::string& part);
  /// Waits until a held job runs.
  void AwaitHeld(const std::string& part);
  /// Jobs whose request_id has this in it fail; OK: they succeed again.
  void Fail(const std::string& part, absl::Status status);
  /// The endpoint answers like this when it is to load or unload; OK: it does so.
  void FailLoading(const std::string& endpoint, absl::Status status);
  /// All endpoints answer like this when they are to list versions; OK: they do so.
  void FailListing(absl::Status status);
  /// A model has not this capability: set before a system is applied.
  void Forbid(const std::string& model, v1::Capability capability);
  /// What is loaded: "endpoint version".
  std::set<std::string> loaded() const;
  /// What was asked, in order: request_ids, "load endpoint version", "unload endpoint version".
  std::vector<std::string> calls() const;
  /// Models have the capability COMMIT_OUTPUTS: set before a system is applied.
  void CommitOutputs();
  /// What a model's versions give from now on differs in its last bits.
  void ChangeOutputs(const std::string& model);
  /// Forgets calls(): a benchmark makes too many.
  void KeepNoCalls();
  /// Forgets all versions, which nobody asks for any more.
  void ForgetVersions();

 private:
  using Commitments = google::protobuf::RepeatedPtrField<v1::OutputsCommitment>;
  /// How a job fails that is held to other outputs than versions give now.
  std::optional<v1::Job> Refusal(const Commitments& commitments) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string OutputsDigest(const std::string& version, const std::string& split) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Job Train(const v1::TrainRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Job Evaluate(const v1::EvaluateRequest& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  v1::Job Commit(const v1::CommitOutputsRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsHeld(const std::string& request_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  bool keeps_calls_ ABSL_GUARDED_BY(mutex_) = true;
  std::set<std::string> held_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> running_ ABSL_GUARDED_BY(mutex_);  // Request_ids of held jobs.
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> load_failures_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> versions_by_request_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::Version> versions_ ABSL_GUARDED_BY(mutex_);  // By name.
  bool commits_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status listing_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<std::string, v1::Capability>> forbidden_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> outputs_ ABSL_GUARDED_BY(mutex_);     // Changes, by model.
  std::map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mutex_);  // Versions by model.
  std::set<std::string> loaded_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::testing
