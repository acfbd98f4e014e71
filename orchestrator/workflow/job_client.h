#pragma once

#include <functional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/channel.h"

namespace backfire::workflow {

/// What a model service is asked to do.
using JobRequest = std::variant<v1::TrainRequest, v1::EvaluateRequest>;

/// Why to stop waiting for a job.
enum class Interrupt {
  kNone,
  kCancel,  ///< The job should stop as well.
  kStop,    ///< Only this process stops; the job goes on and is found again.
};

/// Calls model services, patiently: a service that does not answer is tried again, backing off, for
/// some minutes. Errors name the service. Thread-safe.
class JobClient {
 public:
  /// Starts a job, or finds it by its request_id, and follows it to its end. Returns the ended job,
  /// whatever its end. CANCELLED: interrupted. Otherwise why it could not be started or followed.
  /// @param can_watch  Whether the service has the capability WATCH_JOB; otherwise it is asked.
  absl::StatusOr<v1::Job> Run(const std::string& endpoint, const JobRequest& request,
                              bool can_watch, const std::function<Interrupt()>& interrupt,
                              const std::function<void(const v1::Progress&)>& progress);
  absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                           const std::function<Interrupt()>& interrupt);
  /// Not patient: UNAVAILABLE when it does not answer within seconds.
  absl::StatusOr<v1::Model> GetModel(const std::string& endpoint, const std::string& name);
  /// Not patient either.
  absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint, const std::string& name);

 private:
  runtime::ChannelPool channels_;
};

}  // namespace backfire::workflow
