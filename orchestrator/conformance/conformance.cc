#include "orchestrator/conformance/conformance.h"

#include <memory>

#include "orchestrator/conformance/checks.h"
#include "orchestrator/conformance/trial.h"
#include "services/base/status.h"

namespace backfire::conformance {

absl::StatusOr<std::vector<Finding>> TryService(
    const Options& options, const std::function<void(const Finding&)>& on_finding) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::unique_ptr<Trial> trial, Trial::Begin(options, on_finding));
  TryDescription(*trial);
  BACKFIRE_ASSIGN_OR_RETURN(const Trained base, TryFirstTraining(*trial));
  if (base.version.name().empty()) return trial->findings();
  for (const auto& part : {TryTrainRequests, TryEvaluation, TryResamples, TryOutputs, TryIdentity,
                           TryFeeding, TryParameters, TryResolving, TryServing, TryVersions}) {
    if (options.fail_fast && trial->IsBroken()) break;
    part(*trial, base);
  }
  return trial->findings();
}

}  // namespace backfire::conformance
