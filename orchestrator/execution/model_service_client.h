#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/execution/job_backend.h"
#include "services/rpc/channel.h"

namespace backfire::execution {

/// Calls model services by gRPC, patiently. Thread-safe.
class ModelServiceClient final : public JobBackend, public VersionHost {
 public:
  absl::StatusOr<v1::Job> Run(const std::string& endpoint, const planning::JobRequest& request,
                              bool can_watch, const runtime::Patience& patience,
                              const std::function<Interrupt()>& interrupt,
                              const std::function<void(const v1::Progress&)>& progress) override;
  absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                           const std::string& digest, const runtime::Patience& patience,
                           const std::function<bool()>& interrupted) override;
  absl::Status UnloadVersion(const std::string& endpoint, const std::string& version) override;
  absl::StatusOr<v1::Model> GetModel(const std::string& endpoint, const std::string& name) override;
  absl::StatusOr<v1::Recipe> ResolveRecipe(const std::string& endpoint,
                                           const v1::ResolveRecipeRequest& request) override;
  absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint,
                                         const std::string& name) override;
  absl::StatusOr<std::vector<v1::Version>> ListVersions(const std::string& endpoint,
                                                        const std::string& model) override;
  absl::Status DeleteVersion(const std::string& endpoint, const std::string& version) override;

 private:
  // Makes sure that the job of this request_id does not run: asks it to stop, and waits until it
  // has. Returns the ended job, which may have succeeded in time; NOT_FOUND: there is none.
  // UNIMPLEMENTED: the service can't cancel.
  absl::StatusOr<v1::Job> Cancel(const std::string& endpoint, const std::string& request_id,
                                 const runtime::Patience& patience,
                                 const std::function<bool()>& interrupted);

  runtime::ChannelPool channels_;
};

}  // namespace backfire::execution
