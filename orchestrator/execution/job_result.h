#pragma once

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/planning/job_request.h"

namespace backfire::execution {

/// Whether what a succeeded job returned is what was asked for, so that nothing behind it has to
/// doubt: a version of the requested model by its name and digest; an evaluation with losses, an
/// example count, and on the test split the requested number of resamples of every judged loss; or
/// a commitment to the outputs that were asked for.
/// @param verifies  Whether the service has the capability COMMIT_OUTPUTS: a training or an
///                  evaluation then says what it held its parents to.
/// FAILED_PRECONDITION names the field and what is expected: a service breaks its contract.
absl::Status CheckJobResult(const planning::JobRequest& request, const v1::Job& job,
                            bool verifies = false);

}  // namespace backfire::execution
