#pragma once

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/records/open_update.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// The split that verdicts are made of.
inline constexpr char kTestSplit[] = "test";

/// What a model service is asked to do.
using JobRequest = std::variant<v1::TrainRequest, v1::EvaluateRequest, v1::CommitOutputsRequest>;

/// What a step asks of its vertex's service; the same for the same step, whenever it is asked. Its
/// request_id is `{store}/updates/{n}/{step}/{attempt}`, so that after any crash running the step
/// again finds the job that it started.
/// @param identity  Of the store.
/// @param position  Of any step but a LOAD, its dependencies done.
absl::StatusOr<JobRequest> BuildJobRequest(const std::string& identity,
                                           const records::SystemRevision& system,
                                           const records::OpenUpdate& update, size_t position);

}  // namespace backfire::planning
