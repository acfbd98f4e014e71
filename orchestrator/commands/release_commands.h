#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

namespace backfire::commands {

/// A release that a call is to make live.
struct Switching {
  int64_t release = 0;   ///< Its number.
  bool is_done = false;  ///< It is live already, or the same call made it so before.
};

/// Whether an update can be promoted now, and which release that makes live. FAILED_PRECONDITION,
/// INVALID_ARGUMENT: it can't, as the Orchestrator service says.
absl::StatusOr<Switching> CheckPromotion(const records::State& state,
                                         const store::Repository& history,
                                         const v1::PromoteUpdateRequest& request);
/// Promotes it. Its release must be loaded.
/// @param release  That was loaded. ABORTED: the update has another one now.
absl::StatusOr<records::Change> PromoteUpdate(const records::State& state,
                                              const store::Repository& history,
                                              const v1::PromoteUpdateRequest& request,
                                              int64_t release, absl::Time now);

/// Whether a release can be rolled back to now.
absl::StatusOr<Switching> CheckRollback(const records::State& state,
                                        const store::Repository& history,
                                        const v1::RollbackReleaseRequest& request);
/// Rolls back to it. It must be loaded.
absl::StatusOr<records::Change> RollbackRelease(const records::State& state,
                                                const store::Repository& history,
                                                const v1::RollbackReleaseRequest& request,
                                                absl::Time now);

}  // namespace backfire::commands
