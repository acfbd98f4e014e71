#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

namespace backfire::commands {

/// Cancels an update that has work left, gives up one that failed, turns down one that is decided.
/// Changes nothing if that was done before. FAILED_PRECONDITION: it was promoted, or is a baseline
/// that failed.
absl::StatusOr<records::Change> CancelUpdate(const records::State& state,
                                             const store::Repository& history,
                                             const v1::CancelUpdateRequest& request,
                                             absl::Time now);

/// Goes on with an update that failed, from the step that failed. FAILED_PRECONDITION: it has not.
absl::StatusOr<records::Change> RetryUpdate(const records::State& state,
                                            const store::Repository& history,
                                            const v1::RetryUpdateRequest& request);

}  // namespace backfire::commands
