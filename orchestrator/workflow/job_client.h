#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/attempts.h"
#include "services/runtime/channel.h"

namespace backfire::workflow {

/// The split that verdicts are made of.
inline constexpr char kTestSplit[] = "test";

/// What a model service is asked to do.
using JobRequest = std::variant<v1::TrainRequest, v1::EvaluateRequest>;

/// Why to stop waiting for a job.
enum class Interrupt {
  kNone,
  kCancel,  ///< The job should stop as well.
  kStop,    ///< Only this process stops; the job goes on and is found again.
};

/// Calls model services, patiently. Errors name the service; one that stayed away is UNAVAILABLE,
/// with how long and the last error. Thread-safe.
class JobClient {
 public:
  /// Starts a job, or finds it by its request_id, and follows it to its end. Returns the ended job,
  /// whatever its end. CANCELLED: interrupted. Otherwise why it could not be started or followed.
  /// @param can_watch  Whether the service has the capability WATCH_JOB; otherwise it is asked.
  absl::StatusOr<v1::Job> Run(const std::string& endpoint, const JobRequest& request,
                              bool can_watch, const runtime::Patience& patience,
                              const std::function<Interrupt()>& interrupt,
                              const std::function<void(const v1::Progress&)>& progress);
  /// Makes sure that the job of this request_id does not run: asks it to stop, and waits until it
  /// has. Returns the ended job, which may have succeeded in time; NOT_FOUND: there is none.
  /// UNIMPLEMENTED: the service can't cancel.
  absl::StatusOr<v1::Job> Cancel(const std::string& endpoint, const std::string& request_id,
                                 const runtime::Patience& patience,
                                 const std::function<bool()>& interrupted);
  /// Makes a version ready to serve there; OK as well where the service can't be told. CANCELLED:
  /// interrupted. NOT_FOUND: it has no such version.
  absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                           const runtime::Patience& patience,
                           const std::function<bool()>& interrupted);
  /// Not patient: UNAVAILABLE when it does not answer within seconds.
  absl::Status UnloadVersion(const std::string& endpoint, const std::string& version);
  /// Not patient: UNAVAILABLE when it does not answer within seconds.
  absl::StatusOr<v1::Model> GetModel(const std::string& endpoint, const std::string& name);
  /// Not patient either.
  absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint, const std::string& name);
  /// Names of a model's versions that are loaded there. Not patient either.
  absl::StatusOr<std::vector<std::string>> LoadedVersions(const std::string& endpoint,
                                                          const std::string& model);

 private:
  runtime::ChannelPool channels_;
};

}  // namespace backfire::workflow
