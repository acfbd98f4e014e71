#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/planning/job_request.h"
#include "services/rpc/attempts.h"

namespace backfire::execution {

/// Why to stop waiting for a job.
enum class Interrupt {
  kNone,
  kCancel,  ///< The job should stop as well.
  kStop,    ///< Only this process stops; the job goes on and is found again.
};

/// What runs jobs. Errors name the service; one that stayed away is UNAVAILABLE, with how long and
/// the last error. Thread-safe.
class JobBackend {
 public:
  virtual ~JobBackend() = default;
  /// Starts a job, or finds it by its request_id, and follows it to its end, over restarts of
  /// whatever runs it. Returns the ended job, whatever its end. CANCELLED: interrupted. Otherwise
  /// why it could not be started or followed.
  /// @param can_watch  Whether the service has the capability WATCH_JOB; otherwise it is asked.
  virtual absl::StatusOr<v1::Job> Run(const std::string& endpoint,
                                      const planning::JobRequest& request, bool can_watch,
                                      const runtime::Patience& patience,
                                      const std::function<Interrupt()>& interrupt,
                                      const std::function<void(const v1::Progress&)>& progress) = 0;
};

/// What has versions, and serves them. Errors as JobBackend's; not patient but where it says so:
/// UNAVAILABLE when it does not answer within seconds. Thread-safe.
class VersionHost {
 public:
  virtual ~VersionHost() = default;
  /// Makes a version ready to serve there; OK as well where the service can't be told. Patient.
  /// CANCELLED: interrupted. NOT_FOUND: it has no such version. DATA_LOSS: it has another content
  /// by that name.
  /// @param digest  The version's; empty: not known, and any will do.
  virtual absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                                   const std::string& digest, const runtime::Patience& patience,
                                   const std::function<bool()>& interrupted) = 0;
  virtual absl::Status UnloadVersion(const std::string& endpoint, const std::string& version) = 0;
  virtual absl::StatusOr<v1::Model> GetModel(const std::string& endpoint,
                                             const std::string& name) = 0;
  /// What the service makes of a recipe: every parameter at its effective value. INVALID_ARGUMENT,
  /// NOT_FOUND: what it would refuse to train by. DEADLINE_EXCEEDED: it takes long to read the
  /// dataset.
  virtual absl::StatusOr<v1::Recipe> ResolveRecipe(const std::string& endpoint,
                                                   const v1::ResolveRecipeRequest& request) = 0;
  virtual absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint,
                                                 const std::string& name) = 0;
  /// All versions of a model that are there.
  virtual absl::StatusOr<std::vector<v1::Version>> ListVersions(const std::string& endpoint,
                                                                const std::string& model) = 0;
  /// Unloads a version there, and deletes it. OK as well where there is none.
  virtual absl::Status DeleteVersion(const std::string& endpoint, const std::string& version) = 0;
};

}  // namespace backfire::execution
