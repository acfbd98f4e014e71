#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

namespace backfire::commands {

/// What ApplySystem changes, and answers.
struct AppliedSystem {
  records::Change change;
  v1::ApplySystemResponse response;
};

/// Applies a system: its baseline is trained, unless it is the same experiment as the current one.
/// @param graph, models  Of the request's system with its defaults (system_revision.h).
/// FAILED_PRECONDITION: an update is under way, which the change would pull the ground from under.
absl::StatusOr<AppliedSystem> ApplySystem(const records::State& state,
                                          const store::Repository& history,
                                          const v1::ApplySystemRequest& request,
                                          const graph::SystemGraph& graph,
                                          const std::map<std::string, v1::Model>& models,
                                          absl::Time now);

}  // namespace backfire::commands
